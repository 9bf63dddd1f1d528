/** The place of a key is chosen by its bytes from here on: the first byte of a compressed public key is always 2 or 3. */
const HASHED_FROM = 1

/**
 * A bounded map from short byte strings to values. Each key has two places, chosen by four of its bytes; of the keys that share
 * them, the two that were set or read last stay. All keys lie in one array: a `Map` with texts as keys takes longer to search,
 * and its keys are work for the garbage collector.
 *
 * Not guaranteed: that a key stays. A caller that can choose the four bytes of its keys can replace the keys of others.
 */
export class RecentKeys<T> {
  readonly #width: number
  readonly #sets: number
  /** The key of place `n` begins at `n * width`. */
  readonly #keys: Uint8Array
  readonly #lengths: Uint8Array
  readonly #values: (T | undefined)[]

  /**
   * @param capacity keys at most; at least 2
   * @param width bytes of a key: `HASHED_FROM` + 4 at least, 255 at most
   */
  constructor(capacity: number, width: number) {
    this.#width = width
    this.#sets = Math.floor(capacity / 2)
    this.#keys = new Uint8Array(2 * this.#sets * width)
    this.#lengths = new Uint8Array(2 * this.#sets)
    this.#values = Array.from({ length: 2 * this.#sets })
  }

  get(key: Uint8Array): T | undefined {
    const first = this.#firstPlace(key)
    if (this.#holds(first, key)) return this.#values[first]
    if (!this.#holds(first + 1, key)) return undefined
    const value = this.#values[first + 1]
    this.#moveToSecond(first)
    this.#put(first, key, value)
    return value
  }

  /** @throws RangeError if the key is longer than the width */
  set(key: Uint8Array, value: T): void {
    if (key.length > this.#width) throw new RangeError(`The key has ${key.length} bytes; ${this.#width} are allowed.`)
    const first = this.#firstPlace(key)
    if (!this.#holds(first, key)) this.#moveToSecond(first)
    this.#put(first, key, value)
  }

  #firstPlace(key: Uint8Array): number {
    let hash = 0
    for (let at = HASHED_FROM; at < HASHED_FROM + 4; at++) hash = (hash << 8) | (key[at] ?? 0)
    return 2 * ((hash >>> 0) % this.#sets)
  }

  #holds(place: number, key: Uint8Array): boolean {
    if (this.#lengths[place] !== key.length) return false
    const start = place * this.#width
    for (let at = 0; at < key.length; at++) if (this.#keys[start + at] !== key[at]) return false
    return true
  }

  #moveToSecond(first: number): void {
    const start = first * this.#width
    this.#keys.copyWithin(start + this.#width, start, start + this.#width)
    this.#lengths[first + 1] = this.#lengths[first] ?? 0
    this.#values[first + 1] = this.#values[first]
  }

  #put(place: number, key: Uint8Array, value: T | undefined): void {
    this.#keys.set(key, place * this.#width)
    this.#lengths[place] = key.length
    this.#values[place] = value
  }
}
