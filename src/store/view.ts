/**
 * The visible content of an avatar as JSON text, read step by step from one moment, so that memory stays bounded however
 * large the content is. Every row is checked before it is handed over, and each namespace is checked for lost members at
 * its end.
 */
import type { Avatar } from '../record/types.ts'
import type { NamespaceName } from '../state/content.ts'
import { memberFragment } from './cell-codec.ts'
import { openRow } from './database.ts'
import { type Database } from './level.ts'
import { afterRowRepair, CorruptRowError } from './errors.ts'
import type { Step } from './handle.ts'
import * as keys from './keys.ts'
import { mustBeUnclaimed, mustBeUnknown } from './reader.ts'
import * as rows from './rows.ts'
import { sealOf } from './seal.ts'
import type { AvatarSummary, JsonMoment, ViewMoment } from './types.ts'

/** Rows read at a time, at most; LevelDB ends a step at 16 KiB and one row. */
const ROWS_A_STEP = 256
/** Small rows are joined to chunks of this size, larger ones are handed over without a copy. */
const CHUNK_BYTES = 64 * 1_024

type Row = readonly [keys.Key, Uint8Array]

/**
 * An avatar as it is now; undefined for an unknown one.
 *
 * @param step runs each read of the database that comes later
 * @throws CorruptRowError, also while it is read
 */
export async function openView(db: Database, avatar: Avatar, step: Step): Promise<ViewMoment | undefined> {
  const source = await openRows(db, keys.tableRange('v', avatar), step)
  try {
    const [first] = source.first
    if (first === undefined) {
      mustBeUnknown(db, avatar)
      await source.close()
      return undefined
    }
    const [key, row] = first
    if (keys.kindOfViewKey(key) !== 'summary') throw new CorruptRowError(avatar, 'summary', 'it is not there')
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

/** The content of one namespace as it is now; undefined where there is none. @throws CorruptRowError as `openView` */
export async function openContent(
  db: Database,
  avatar: Avatar,
  name: NamespaceName,
  step: Step,
): Promise<JsonMoment | undefined> {
  const source = await openRows(db, keys.namespaceRange(avatar, name), step)
  if (source.first.length > 0) return { read: () => readMembers(avatar, source.steps()), close: source.close }
  await source.close()
  mustBeUnclaimed(db, avatar, name)
  return undefined
}

/** The same moment; where a row fails its check while it is read, `mend` is told and the reader gets a StoreError. */
export function withRowRepair<T extends JsonMoment>(
  moment: T,
  repairRow: (error: CorruptRowError) => Promise<void>,
): T {
  return {
    ...moment,
    async *read() {
      try {
        yield* moment.read()
      } catch (error) {
        throw await afterRowRepair(error, repairRow)
      }
    },
  }
}

/** Rows of a range, all of one moment, which can be read several times. */
interface RowSource {
  /** The first rows of the range; empty where it is. */
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
        throw new CorruptRowError(avatar, 'namespace', 'its members have none')
      } else {
        yield* joined.add(open.add(key, row))
      }
    }
  }
  joined.text(open === undefined ? ']' : `${open.close()}}]`)
  if (found !== expected) throw new CorruptRowError(avatar, 'namespace', 'one is not there')
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

/** Pieces of text that are handed over together. */
class Joiner {
  #pieces: Uint8Array[] = []
  #bytes = 0

  text(text: string): void {
    this.#push(Buffer.from(text))
  }

  /** @returns what is to be handed over now */
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

/** Opens a namespace's members one by one, and checks against its row that none is lost. */
class OpenNamespace {
  readonly name: NamespaceName
  readonly #avatar: Avatar
  readonly #expected: rows.NamespaceRow
  #live = 0
  #check = 0

  constructor(avatar: Avatar, key: keys.Key, row: Uint8Array) {
    this.#avatar = avatar
    if (keys.kindOfViewKey(key) !== 'namespace') throw new CorruptRowError(avatar, 'namespace', 'it is not there')
    this.name = keys.namespaceInKey(key)
    this.#expected = openRow(avatar, 'namespace', key, row, rows.decodeNamespace)
  }

  /** The `"key":value` text of a member, and what stands before it. */
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
      throw new CorruptRowError(this.#avatar, 'member', 'one is not there')
    }
    return live === 0 ? '{}' : '}'
  }
}
