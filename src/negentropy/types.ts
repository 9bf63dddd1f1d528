/** A value, or the promise of one: an index may be in memory or on disk. */
export type Awaitable<T> = T | PromiseLike<T>

/** One element of a set to reconcile. Items are ordered by timestamp, then by the bytes of their ids. */
export interface Item {
  /** Integer, 0 … 2^53 − 1. */
  readonly timestamp: number
  /** 32 bytes that do not change. */
  readonly id: Uint8Array
}

/**
 * A place between items: the first one that is not below (`timestamp`, `id` padded with zero bytes to 32).
 */
export interface Bound {
  /** Integer, 0 … 2^53 − 1, or `Infinity`: after all items. */
  readonly timestamp: number
  /** 0 … 32 bytes. */
  readonly id: Uint8Array
}

/**
 * An ordered set of items without duplicates, addressed by rank: 0 is the lowest. It must not change while a call of
 * `Negentropy` that reads it is under way; between two calls it may.
 */
export interface RangeIndex {
  /** How many items there are. */
  size(): number
  /**
   * Sum of the ids of the items at `begin` … `end` (exclusive) modulo 2^256, ids and sum being little-endian: 32 bytes.
   * All zero for an empty range.
   */
  sum(begin: number, end: number): Awaitable<Uint8Array>
  /** The items at `begin` … `end` (exclusive) in order. At most 1,024 are asked for at a time. */
  items(begin: number, end: number): Awaitable<Iterable<Item>>
  /** The rank of the first item at `begin` … `end` (exclusive) that is not below `bound`; `end` if there is none. */
  lowerBound(begin: number, end: number, bound: Bound): Awaitable<number>
}
