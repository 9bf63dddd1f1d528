import type { Citation } from '../record/types.ts'
import { compareCitations } from '../record/order.ts'

/** A set of (counter, id) in ascending order. Insertion and removal cost a binary search and a memory move. */
export class PlaceSet {
  readonly #places: Citation[] = []

  constructor(places: Iterable<Citation> = []) {
    for (const place of places) this.add(place)
  }

  /** In order. Do not change the array. */
  get places(): readonly Citation[] {
    return this.#places
  }

  has(place: Citation): boolean {
    return this.#isAt(this.#lowerBound(place), place)
  }

  /** @returns false if it is in the set already */
  add(place: Citation): boolean {
    const at = this.#lowerBound(place)
    if (this.#isAt(at, place)) return false
    this.#places.splice(at, 0, { counter: place.counter, id: place.id })
    return true
  }

  /** Removes a place if this counter and id are both in the set. */
  delete(place: Citation): boolean {
    const at = this.#lowerBound(place)
    if (!this.#isAt(at, place)) return false
    this.#places.splice(at, 1)
    return true
  }

  #isAt(at: number, { counter, id }: Citation): boolean {
    const found = this.#places[at]
    return found?.id === id && found.counter === counter
  }

  #lowerBound(place: Citation): number {
    let low = 0
    let high = this.#places.length
    const last = this.#places[high - 1]
    // Most places are added at the end.
    if (last === undefined || compareCitations(last, place) < 0) return high
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compareCitations(this.#places[middle] as Citation, place) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}
