import type { Citation } from '../record/types.ts'
import { compareCitations } from '../record/order.ts'

/** A sorted set of places: (counter, id) ascending. Insertion and removal cost a binary search and a memory move. */
export class PlaceSet {
  readonly #places: Citation[] = []

  constructor(places: Iterable<Citation> = []) {
    for (const place of places) this.add(place)
  }

  get size(): number {
    return this.#places.length
  }

  /** The places in order. Do not change the array. */
  get all(): readonly Citation[] {
    return this.#places
  }

  get greatest(): Citation | undefined {
    return this.#places.at(-1)
  }

  has(place: Citation): boolean {
    const at = this.#lowerBound(place)
    return this.#places[at]?.id === place.id && this.#places[at]?.counter === place.counter
  }

  add(place: Citation): boolean {
    const last = this.#places.at(-1)
    if (last === undefined || compareCitations(last, place) < 0) {
      this.#places.push({ counter: place.counter, id: place.id })
      return true
    }
    if (this.has(place)) return false
    this.#places.splice(this.#lowerBound(place), 0, { counter: place.counter, id: place.id })
    return true
  }

  /** Removes a place if this counter and id are both in the set. */
  delete(place: Citation): boolean {
    if (!this.has(place)) return false
    this.#places.splice(this.#lowerBound(place), 1)
    return true
  }

  #lowerBound(place: Citation): number {
    let low = 0
    let high = this.#places.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compareCitations(this.#places[middle] as Citation, place) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}
