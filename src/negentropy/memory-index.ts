/**
 * An immutable index in memory, for small scopes, other programs and tests. It takes 41 bytes an item. The sum of a range costs
 * additions over at most two pages; a lower bound costs a binary search.
 */
import { NegentropyError } from './errors.ts'
import { addBytes, addLimbs, LIMBS, sumBytes } from './id-sum.ts'
import { compareBounds, firstNotBelow } from './order.ts'
import type { Bound, Item, RangeIndex } from './types.ts'
import { ID_BYTES } from './wire.ts'

/** Items between two stored sums, which costs one byte an item. */
const PAGE_ITEMS = 32

/**
 * Creates an index of `items`, which may be in any order and are copied.
 *
 * @throws NegentropyError `invalid_item` for a timestamp that is not an integer of 0 … 2^53 − 1, an id that is not 32 bytes
 *   long, or an item given twice
 */
export function createMemoryIndex(items: Iterable<Item>): RangeIndex {
  return new MemoryIndex(Array.from(items, checked).sort(compareBounds))
}

function checked(item: Item): Item {
  if (!Number.isSafeInteger(item.timestamp) || item.timestamp < 0) {
    throw new NegentropyError('invalid_item', `The timestamp ${item.timestamp} is not an integer from 0 to 2^53 - 1.`)
  }
  if (item.id.length !== ID_BYTES) {
    throw new NegentropyError('invalid_item', `An id has ${item.id.length} bytes; it must have ${ID_BYTES}.`)
  }
  return item
}

class MemoryIndex implements RangeIndex {
  readonly #timestamps: Float64Array
  readonly #ids: Uint8Array
  readonly #view: DataView
  /** Sums of the ids before each page, eight limbs a page. */
  readonly #sums: Uint32Array

  constructor(sorted: readonly Item[]) {
    this.#timestamps = Float64Array.from(sorted, (item) => item.timestamp)
    this.#ids = new Uint8Array(sorted.length * ID_BYTES)
    this.#view = new DataView(this.#ids.buffer)
    this.#sums = new Uint32Array((Math.floor(sorted.length / PAGE_ITEMS) + 1) * LIMBS)
    const sum = new Uint32Array(LIMBS)
    for (const [rank, item] of sorted.entries()) {
      const previous = sorted[rank - 1]
      if (previous !== undefined && compareBounds(previous, item) === 0) {
        throw new NegentropyError('invalid_item', 'The set has an item twice. Pass each item once.')
      }
      this.#ids.set(item.id, rank * ID_BYTES)
      addBytes(sum, this.#view, rank * ID_BYTES)
      if ((rank + 1) % PAGE_ITEMS === 0) this.#sums.set(sum, ((rank + 1) / PAGE_ITEMS) * LIMBS)
    }
  }

  size(): number {
    return this.#timestamps.length
  }

  sum(begin: number, end: number): Uint8Array {
    const sum = this.#sumBefore(end)
    addLimbs(sum, this.#sumBefore(begin), -1)
    return sumBytes(sum)
  }

  *items(begin: number, end: number): Generator<Item> {
    for (let rank = begin; rank < end; rank += 1) yield this.#item(rank)
  }

  lowerBound(begin: number, end: number, bound: Bound): number {
    return firstNotBelow(begin, end, (rank) => compareBounds(this.#item(rank), bound) < 0)
  }

  #item(rank: number): Item {
    const timestamp = this.#timestamps[rank]
    if (timestamp === undefined) throw new RangeError(`The index has no item of rank ${rank}.`)
    return { timestamp, id: this.#ids.slice(rank * ID_BYTES, (rank + 1) * ID_BYTES) }
  }

  #sumBefore(rank: number): Uint32Array {
    const page = Math.floor(rank / PAGE_ITEMS)
    const sum = this.#sums.slice(page * LIMBS, (page + 1) * LIMBS)
    for (let at = page * PAGE_ITEMS; at < rank; at += 1) addBytes(sum, this.#view, at * ID_BYTES)
    return sum
  }
}
