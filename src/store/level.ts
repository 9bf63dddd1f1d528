import type { AbstractLevel } from 'abstract-level'
import type { Key } from './keys.ts'
import { seal } from './seal.ts'

/** LevelDB, or another `abstract-level` database with synchronous reads. Keys and values are bytes. */
export type Database = AbstractLevel<string | Buffer | Uint8Array, Uint8Array, Uint8Array>

/** Before all keys of the store. */
const NO_KEY = new Uint8Array(1)

/** Moves the rows of LevelDB's log to a table. Does nothing in memory. */
export async function emptyLog(db: Database): Promise<void> {
  // A method of classic-level that `level` does not declare. Before it compacts the range, which is empty, it empties the log.
  const { compactRange } = db as { readonly compactRange?: (start: Key, end: Key) => Promise<void> }
  await compactRange?.call(db, NO_KEY, NO_KEY)
}

export type Operation =
  | { readonly type: 'put'; readonly key: Key; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: Key }

/** Takes the operations of a batch: a list, or a batch of LevelDB (`OpenBatch` in `database.ts`). */
export interface Operations {
  /** How many it has. */
  readonly length: number
  push(...operations: Operation[]): unknown
}

const NO_VALUE = new Uint8Array(0)

/** Stores a row without a checksum. Default: a row whose key says everything. */
export function put(key: Key, value: Uint8Array = NO_VALUE): Operation {
  return { type: 'put', key, value }
}

/** Stores a row begun with `startRow`, and fills in its checksum. */
export function putSealed(key: Key, row: Uint8Array): Operation {
  return { type: 'put', key, value: seal(key, row) }
}

export function del(key: Key): Operation {
  return { type: 'del', key }
}
