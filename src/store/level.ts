import type { AbstractLevel } from 'abstract-level'
import type { Key } from './keys.ts'

/** LevelDB, or another `abstract-level` database with synchronous reads. Keys and values are bytes. */
export type Database = AbstractLevel<string | Buffer | Uint8Array, Uint8Array, Uint8Array>

export type Operation =
  | { readonly type: 'put'; readonly key: Key; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: Key }
