/**
 * The visible content of an avatar as JSON text, read in steps from one moment, with bounded memory for content of any size.
 * Every row is checked before it is returned. At its end, each namespace is checked for lost members.
 */
import type { Avatar } from '../record/types.ts'
import type { NamespaceName } from '../state/content.ts'
import type { Cell } from '../state/cell.ts'
import { decodeMember, memberFragment } from './cell-codec.ts'
import { openRow } from './database.ts'
import { type Database } from './level.ts'
import { afterRowRepair, CorruptRowError } from './errors.ts'
import type { Step } from './handle.ts'
import * as keys from './keys.ts'
import { mustBeUnclaimed, mustBeUnknown, withReadSnapshot } from './reader.ts'
import * as rows from './rows.ts'
import { sealOf } from './seal.ts'
import type { AvatarSummary, JsonSnapshot, ViewSnapshot } from './types.ts'

/** Most rows per step. LevelDB also ends a step after the row that passes 16 KiB. */
const ROWS_A_STEP = 256
/** Small rows are joined into chunks of this size. Larger rows are returned without a copy. */
const CHUNK_BYTES = 64 * 1_024

type Row = readonly [keys.Key, Uint8Array]

/**
 * Opens the current content of an avatar; undefined for an unknown one.
 *
 * @param step runs each later read of the database
 * @throws CorruptRowError, also during the later reads
 */
export async function openView(db: Database, avatar: Avatar, step: Step): Promise<ViewSnapshot | undefined> {
  const source = await openRows(db, keys.tableRange('v', avatar), step)
  try {
    const [first] = source.first
    if (first === undefined) {
      mustBeUnknown(db, avatar)
      await source.close()
      return undefined
    }
    const [key, row] = first
    if (keys.kindOfViewKey(key) !== 'summary') throw new CorruptRowError(avatar, 'summary', 'it is missing')
    const decoded = openRow(avatar, 'summary', key, row, rows.decodeSummary)
    const summary: AvatarSummary = { ...decoded, avatar }
    return {
      summary,
      read: () => readNamespaces(avatar, decoded.namespaces, source.steps()),
      close: source.close,
    }
  } catch (error) {
    await source.close()
    throw error
  }
}

/** Opens the current content of one namespace; undefined if it does not exist. @throws CorruptRowError as `openView` */
export async function openContent(
  db: Database,
  avatar: Avatar,
  name: NamespaceName,
  step: Step,
): Promise<JsonSnapshot | undefined> {
  const source = await openRows(db, keys.namespaceRange(avatar, name), step)
  if (source.first.length > 0) return { read: () => readMembers(avatar, source.steps()), close: source.close }
  await source.close()
  mustBeUnclaimed(db, avatar, name)
  return undefined
}

/**
 * Reads one member of a content, present or deleted, with the stamps of all records that wrote to it.
 *
 * @returns null if no record has written the member, undefined if the namespace does not exist
 * @throws CorruptRowError
 */
export async function readMember(
  db: Database,
  avatar: Avatar,
  namespace: NamespaceName,
  member: string,
): Promise<Cell | null | undefined> {
  const found = await withReadSnapshot(db, async (readSnapshot) => {
    for (const deleted of [false, true]) {
      const key = keys.memberKey(avatar, namespace, member, deleted)
      const row = await db.get(key, { snapshot: readSnapshot })
      if (row !== undefined) return openRow(avatar, 'member', key, row, decodeMember).cell
    }
    return undefined
  })
  return found ?? (await confirmAbsence(db, avatar, namespace))
}

/** Reads the whole namespace: its own row tells whether a member's row was lost. */
async function confirmAbsence(db: Database, avatar: Avatar, namespace: NamespaceName): Promise<null | undefined> {
  const content = await openContent(db, avatar, namespace, (read) => read())
  if (content === undefined) return undefined
  try {
    for await (const _chunk of content.read());
    return null
  } finally {
    await content.close()
  }
}

/** Wraps a moment: if a row fails its check during a read, `repairRow` is called and the reader gets a StoreError. */
export function withRowRepair<T extends JsonSnapshot>(
  readSnapshot: T,
  repairRow: (error: CorruptRowError) => Promise<void>,
): T {
  return {
    ...readSnapshot,
    async *read() {
      try {
        yield* readSnapshot.read()
      } catch (error) {
        throw await afterRowRepair(error, repairRow)
      }
    },
  }
}

/** The rows of a range as of one moment. They can be read several times. */
interface RowSource {
  /** The first rows of the range; empty if the range is. */
  readonly first: readonly Row[]
  steps(): AsyncIterable<readonly Row[]>
  readonly close: () => Promise<void>
}

async function openRows(db: Database, range: keys.KeyRange, step: Step): Promise<RowSource> {
  const iterator = db.iterator(range)
  const close = (): Promise<void> => iterator.close()
  let isAtStart = true
  let first: readonly Row[]
  try {
    first = (await iterator.nextv(ROWS_A_STEP)) as Row[]
  } catch (error) {
    await close()
    throw error
  }
  return {
    first,
    close,
    async *steps() {
      if (isAtStart) yield first
      let isToSeek = !isAtStart
      isAtStart = false
      for (;;) {
        const some = await step(async () => {
          if (isToSeek) iterator.seek(range.gte)
          isToSeek = false
          return (await iterator.nextv(ROWS_A_STEP)) as Row[]
        })
        if (some.length === 0) return
        yield some
      }
    },
  }
}

/** The namespaces as a JSON array, sorted as in a snapshot's `state`. */
async function* readNamespaces(
  avatar: Avatar,
  expected: number,
  steps: AsyncIterable<readonly Row[]>,
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
        joined.text(open === undefined ? '' : `${open.close()}},`)
        open = new OpenNamespace(avatar, key, row)
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
  joined.text(open === undefined ? ']' : `${open.close()}}]`)
  if (found !== expected) throw new CorruptRowError(avatar, 'namespace', 'one is missing')
  yield joined.take()
}

/** One namespace's content as a JSON object. */
async function* readMembers(avatar: Avatar, steps: AsyncIterable<readonly Row[]>): AsyncGenerator<Uint8Array> {
  const joined = new Joiner()
  let open: OpenNamespace | undefined
  for await (const step of steps) {
    for (const [key, row] of step) {
      if (open === undefined) open = new OpenNamespace(avatar, key, row)
      else yield* joined.add(open.add(key, row))
    }
  }
  joined.text(open?.close() ?? '')
  yield joined.take()
}

/** Joins small pieces of text into chunks. */
class Joiner {
  #pieces: Uint8Array[] = []
  #bytes = 0

  text(text: string): void {
    this.#push(Buffer.from(text))
  }

  /** @returns the chunks that are complete */
  *add({ before, fragment }: { before: string; fragment: Uint8Array }): Generator<Uint8Array> {
    this.text(before)
    if (this.#bytes + fragment.length < CHUNK_BYTES) return this.#push(fragment)
    yield this.take()
    if (fragment.length < CHUNK_BYTES) this.#push(fragment)
    else yield fragment
    return undefined
  }

  take(): Uint8Array {
    const taken = Buffer.concat(this.#pieces, this.#bytes)
    this.#pieces = []
    this.#bytes = 0
    return taken
  }

  #push(piece: Uint8Array): void {
    this.#pieces.push(piece)
    this.#bytes += piece.length
  }
}

/** Decodes a namespace's members one by one, and checks by the namespace's row that none is lost. */
class OpenNamespace {
  readonly name: NamespaceName
  readonly #avatar: Avatar
  readonly #expected: rows.NamespaceRow
  #live = 0
  #check = 0

  constructor(avatar: Avatar, key: keys.Key, row: Uint8Array) {
    this.#avatar = avatar
    if (keys.kindOfViewKey(key) !== 'namespace') throw new CorruptRowError(avatar, 'namespace', 'it is missing')
    this.name = keys.namespaceInKey(key)
    this.#expected = openRow(avatar, 'namespace', key, row, rows.decodeNamespace)
  }

  /** The `"key":value` text of a member, and the punctuation before it. */
  add(key: keys.Key, row: Uint8Array): { before: string; fragment: Uint8Array } {
    const fragment = openRow(this.#avatar, 'member', key, row, memberFragment)
    this.#check ^= sealOf(row)
    this.#live += 1
    return { before: this.#live === 1 ? '{' : ',', fragment }
  }

  /** The text that ends the content. */
  close(): string {
    const { live, check } = this.#expected
    if (this.#live !== live || this.#check >>> 0 !== check) {
      throw new CorruptRowError(this.#avatar, 'member', 'one is missing')
    }
    return live === 0 ? '{}' : '}'
  }
}
