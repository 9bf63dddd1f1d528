import { MAX_REPEATED, MAX_USELESS } from './limits.ts'

/** Counts one reading of a host, and detects a reading that never ends. */
export class Reading {
  added = 0
  readonly #held: number
  #useless = 0
  #repeated = 0
  #noted = 0

  /** @param held records held when it began, each of which the host may send once */
  constructor(held: number) {
    this.#held = held
  }

  /** @param isRepeated whether it was in this reading before */
  note(status: string, isRepeated: boolean): void {
    if (isRepeated) this.#repeated += 1
    if (status === 'stored' || status === 'pending') this.added += 1
    else this.#useless += 1
  }

  /** How many were added since the last call. */
  newlyAdded(): number {
    const more = this.added - this.#noted
    this.#noted = this.added
    return more
  }

  get isEndless(): boolean {
    return this.#repeated > MAX_REPEATED || this.#useless > this.#held + MAX_USELESS
  }
}
