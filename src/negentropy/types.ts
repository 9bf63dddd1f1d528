/** A value or a promise of one: an index may be in memory or on disk. */
export type Awaitable<T> = T | PromiseLike<T>

/** One element of a set to reconcile. Items are ordered by timestamp, then by the bytes of their ids. */
export interface Item {
  /** Integer, 0 … 2^53 − 1. */
  readonly timestamp: number
  /** 32 bytes. They must not change. */
  readonly id: Uint8Array
}

/**
 * A position between items: before the first item that is not below (`timestamp`, `id` padded with zero bytes to 32).
 */
export interface Bound {
  /** Integer, 0 … 2^53 − 1, or `Infinity`: after all items. */
  readonly timestamp: number
  /** 0 … 32 bytes. */
  readonly id: Uint8Array
}

/**
 * An ordered set of items without duplicates, addressed by rank: 0 is the lowest. It may change between two calls of
 * `Negentropy`, but not during a call.
 */
export interface RangeIndex {
  /** Number of items. */
  size(): number
  /**
   * Sum of the ids of the items at `begin` … `end` (exclusive) modulo 2^256: 32 bytes. Ids and sum are little-endian. All zero
   * for an empty range.
   */
  sum(begin: number, end: number): Awaitable<Uint8Array>
  /** The items at `begin` … `end` (exclusive) in order. A call asks for at most 1,024. */
  items(begin: number, end: number): Awaitable<Iterable<Item>>
  /** The rank of the first item at `begin` … `end` (exclusive) that is not below `bound`; `end` if there is none. */
  lowerBound(begin: number, end: number, bound: Bound): Awaitable<number>
}
