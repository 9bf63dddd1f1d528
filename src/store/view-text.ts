/**
 * The text of contents, joined from rows, with bounded memory for content of any size. Every row is checked before it is
 * returned. At its end, each namespace is checked for lost members.
 */
import type { Avatar } from '../record/types.ts'
import { nameKey, type NamespaceName } from '../state/content.ts'
import { memberFragment } from './cell-codec.ts'
import { openRow } from './database.ts'
import { CorruptRowError } from './errors.ts'
import { Joiner } from './joiner.ts'
import * as keys from './keys.ts'
import * as rows from './rows.ts'
import { sealOf } from './seal.ts'

export type Row = readonly [keys.Key, Uint8Array]

/** Members of other avatars that stand in one namespace instead of its own (`linked-view.ts`). */
export interface Substitutes {
  readonly namespace: NamespaceName
  /** Whether a member of the namespace is left out, by the key of its row. */
  hides(key: keys.Key): boolean
  /** The `"key":value` texts to add. */
  fragments(): AsyncIterable<Uint8Array>
}

/** The namespaces as a JSON array, sorted as in a snapshot's `state`. */
export async function* readNamespaces(
  avatar: Avatar,
  expected: number,
  steps: AsyncIterable<readonly Row[]>,
  substitutes?: Substitutes,
): AsyncGenerator<Uint8Array> {
  const joined = new Joiner()
  let open: OpenNamespace | undefined
  let found = 0
  joined.text('[')
  for await (const step of steps) {
    for (const [key, row] of step) {
      const kind = keys.kindOfViewKey(key)
      if (kind === 'summary') continue
      if (kind === 'namespace') {
        if (open !== undefined) {
          for await (const each of open.added()) yield* joined.add(each)
          joined.text(`${open.close()}},`)
        }
        open = new OpenNamespace(avatar, key, row, substitutes)
        found += 1
        const { platform, identity } = open.name
        joined.text(`{"platform":${JSON.stringify(platform)},"identity":${JSON.stringify(identity)},"content":`)
      } else if (open === undefined) {
        throw new CorruptRowError(avatar, 'namespace', 'it is missing, but its members are stored')
      } else {
        yield* joined.add(open.add(key, row))
      }
    }
  }
  for await (const each of open?.added() ?? []) yield* joined.add(each)
  joined.text(open === undefined ? ']' : `${open.close()}}]`)
  if (found !== expected) throw new CorruptRowError(avatar, 'namespace', 'one is missing')
  yield joined.take()
}

/** One namespace's content as a JSON object. */
export async function* readMembers(
  avatar: Avatar,
  steps: AsyncIterable<readonly Row[]>,
  substitutes?: Substitutes,
): AsyncGenerator<Uint8Array> {
  const joined = new Joiner()
  let open: OpenNamespace | undefined
  for await (const step of steps) {
    for (const [key, row] of step) {
      if (open === undefined) open = new OpenNamespace(avatar, key, row, substitutes)
      else yield* joined.add(open.add(key, row))
    }
  }
  for await (const each of open?.added() ?? []) yield* joined.add(each)
  joined.text(open?.close() ?? '')
  yield joined.take()
}

/** The `"key":value` text of a member, and the punctuation before it; both are empty if the member is left out. */
interface Member {
  readonly before: string
  readonly fragment: Uint8Array
}

const LEFT_OUT: Member = { before: '', fragment: new Uint8Array(0) }

/** Decodes a namespace's members one by one, and checks by the namespace's row that none is lost. */
class OpenNamespace {
  readonly name: NamespaceName
  readonly #avatar: Avatar
  readonly #expected: rows.NamespaceRow
  readonly #substitutes: Substitutes | undefined
  #live = 0
  #check = 0
  #shown = 0

  constructor(avatar: Avatar, key: keys.Key, row: Uint8Array, substitutes?: Substitutes) {
    this.#avatar = avatar
    if (keys.kindOfViewKey(key) !== 'namespace') throw new CorruptRowError(avatar, 'namespace', 'it is missing')
    this.name = keys.namespaceInKey(key)
    this.#expected = openRow(avatar, 'namespace', key, row, rows.decodeNamespace)
    this.#substitutes = substitutes && nameKey(substitutes.namespace) === nameKey(this.name) ? substitutes : undefined
  }

  /** Adds the row of a member. */
  add(key: keys.Key, row: Uint8Array): Member {
    const fragment = openRow(this.#avatar, 'member', key, row, memberFragment)
    this.#check ^= sealOf(row)
    this.#live += 1
    return this.#substitutes?.hides(key) === true ? LEFT_OUT : this.#show(fragment)
  }

  /** The members of other avatars that stand in the namespace. */
  async *added(): AsyncGenerator<Member> {
    for await (const fragment of this.#substitutes?.fragments() ?? []) yield this.#show(fragment)
  }

  /** The text that ends the content. */
  close(): string {
    const { live, check } = this.#expected
    if (this.#live !== live || this.#check >>> 0 !== check) {
      throw new CorruptRowError(this.#avatar, 'member', 'one is missing')
    }
    return this.#shown === 0 ? '{}' : '}'
  }

  #show(fragment: Uint8Array): Member {
    this.#shown += 1
    return { before: this.#shown === 1 ? '{' : ',', fragment }
  }
}
