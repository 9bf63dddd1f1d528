import { messageOf } from '../platform/errors.ts'
import { yieldToEventLoop } from '../platform/yield.ts'
import type { AbstractIteratorOptions } from 'abstract-level'
import type { BatchOptions } from 'level'
import type { Avatar } from '../record/types.ts'
import { CorruptRowError } from './errors.ts'
import type { Key, KeyRange } from './keys.ts'
import type { Database, Operation, Operations } from './level.ts'
import { unseal } from './seal.ts'
import { earlierWriteFailed, hasFailedWrite, setWriteFailed, writeFailed } from './write-guard.ts'

/**
 * Writes a batch atomically. It is on disk (fsync) when the promise resolves.
 *
 * @throws StoreError `write_failed` if this write fails, or an earlier one failed and the database was not reopened since
 */
export function writeDurably(db: Database, operations: readonly Operation[]): Promise<void> {
  return write(db, operations, true)
}

/**
 * Writes a batch atomically, without fsync: a power loss may undo it and all later writes without fsync. For steps that can be
 * repeated.
 */
export function writeSoon(db: Database, operations: readonly Operation[]): Promise<void> {
  return write(db, operations, false)
}

/** Rows of a large batch before it yields to the event loop: a few milliseconds. */
const OPERATIONS_PER_YIELD = 4_000

async function write(db: Database, operations: readonly Operation[], sync: boolean): Promise<void> {
  const batch = new OpenBatch(db)
  for (const [at, operation] of operations.entries()) {
    if (at % OPERATIONS_PER_YIELD === OPERATIONS_PER_YIELD - 1) await yieldToEventLoop()
    batch.push(operation)
  }
  await batch.write(sync)
}

/**
 * A batch that goes to LevelDB operation by operation. Its rows are garbage at once. In a list they would live until the batch is
 * written, and V8 would copy them meanwhile. Call `close` in the end, whether it was written or not.
 */
export class OpenBatch implements Operations {
  readonly #db: Database
  readonly #batch: ReturnType<Database['batch']>

  constructor(db: Database) {
    this.#db = db
    // A chained batch takes a tenth of the main thread time of `db.batch(operations)`.
    this.#batch = db.batch()
  }

  get length(): number {
    return this.#batch.length
  }

  push(...operations: Operation[]): void {
    for (const operation of operations) {
      if (operation.type === 'put') this.#batch.put(operation.key, operation.value)
      else this.#batch.del(operation.key)
    }
  }

  /**
   * Writes the batch atomically.
   *
   * @param sync whether it is on disk (fsync) when the promise resolves. Databases in memory ignore it
   * @throws StoreError `write_failed` as `writeDurably`
   */
  async write(sync: boolean): Promise<void> {
    const options: BatchOptions<Uint8Array, Uint8Array> = { sync }
    await writing(this.#db, () => this.#batch.write(options))
  }

  /** Frees the batch. Drops it if it was not written. */
  close(): Promise<void> {
    return this.#batch.close()
  }
}

/** Removes a range of rows, neither atomically nor durably. @throws StoreError as `writeDurably` */
export function clearSoon(db: Database, range: KeyRange | { readonly gte: Key; readonly lte: Key }): Promise<void> {
  return writing(db, () => db.clear(range))
}

async function writing(db: Database, write: () => Promise<void>): Promise<void> {
  if (hasFailedWrite(db)) throw earlierWriteFailed()
  try {
    await write()
  } catch (error) {
    setWriteFailed(db)
    throw writeFailed(error)
  }
}

/** The database as of one moment, for reads that must be consistent with each other. */
export type ReadSnapshot = ReturnType<Database['snapshot']>

/** Opens a sealed row. @throws CorruptRowError if it fails its check or does not decode */
export function openRow<T>(
  avatar: Avatar,
  kind: string,
  key: Key,
  row: Uint8Array,
  decode: (content: Uint8Array) => T,
): T {
  const content = unseal(key, row)
  if (content === undefined) throw new CorruptRowError(avatar, kind, 'the checksum does not match')
  try {
    return decode(content)
  } catch (error) {
    throw new CorruptRowError(avatar, kind, messageOf(error))
  }
}

/** Reads one sealed row. */
export function readRow<T>(
  db: Database,
  avatar: Avatar,
  kind: string,
  key: Key,
  decode: (content: Uint8Array) => T,
): T | undefined {
  const row = db.getSync(key)
  return row === undefined ? undefined : openRow(avatar, kind, key, row, decode)
}

/** Rows per step of an iterator. Bounds memory and the time for which the event loop is blocked. */
const ROWS_A_STEP = 256

/** Keys per step: three times as fast as 256, and blocks the event loop for 2 ms. */
const KEYS_A_STEP = 1_000
/** The default of classic-level, 16 KiB, would end a step sooner. */
const KEYS_A_STEP_BYTES = 65_536

/** Walks the keys of a long range, in bounded steps. */
export async function* walkKeys(
  db: Database,
  range: KeyRange,
  readSnapshot?: ReadSnapshot,
): AsyncGenerator<readonly Key[]> {
  // The last two are options of classic-level. Other databases ignore them.
  const snapshot = readSnapshot === undefined ? {} : { snapshot: readSnapshot }
  const options = { ...range, ...snapshot, highWaterMarkBytes: KEYS_A_STEP_BYTES, fillCache: false }
  const iterator = db.keys(options)
  try {
    for (let step = await iterator.nextv(KEYS_A_STEP); step.length > 0; step = await iterator.nextv(KEYS_A_STEP)) {
      yield step as Key[]
    }
  } finally {
    await iterator.close()
  }
}

type WalkOptions = Pick<AbstractIteratorOptions<Uint8Array, Uint8Array>, 'snapshot' | 'limit' | 'reverse' | 'values'>

/** Walks a range row by row, in bounded steps. */
export async function* walk(
  db: Database,
  range: KeyRange,
  options: WalkOptions = {},
): AsyncGenerator<readonly [Key, Uint8Array]> {
  for await (const step of walkSteps(db, range, options)) yield* step
}

/** Walks a range in bounded steps of one row or more. */
export async function* walkSteps(
  db: Database,
  range: KeyRange,
  options: WalkOptions = {},
): AsyncGenerator<readonly (readonly [Key, Uint8Array])[]> {
  const iterator = db.iterator({ ...range, ...options })
  try {
    for (let rows = await iterator.nextv(ROWS_A_STEP); rows.length > 0; rows = await iterator.nextv(ROWS_A_STEP)) {
      yield rows as [Key, Uint8Array][]
    }
  } finally {
    await iterator.close()
  }
}

/** Rows that `readEach` reads at once at first; doubled while they are small. */
const FIRST_ROWS = 8
const MAX_ROWS = 256
/** Bytes of a step up to which the next one is larger: a record may have 256 KiB. */
const SMALL_STEP_BYTES = 262_144

/** Reads the rows of many keys one by one, in the order of the keys. Memory is bounded. */
export async function* readEach(
  db: Database,
  wanted: readonly Key[],
  options: { readonly snapshot?: ReadSnapshot } = {},
): AsyncGenerator<readonly [at: number, row: Uint8Array | undefined]> {
  let step = FIRST_ROWS
  for (let from = 0; from < wanted.length;) {
    const found = await db.getMany(wanted.slice(from, from + step), options)
    let bytes = 0
    for (const [at, row] of found.entries()) {
      bytes += row?.length ?? 0
      yield [from + at, row]
    }
    from += found.length
    if (bytes <= SMALL_STEP_BYTES) step = Math.min(MAX_ROWS, step * 2)
  }
}
