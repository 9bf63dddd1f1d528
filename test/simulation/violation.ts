/** Something that must never be was seen in a simulated world. */
export class Violation extends Error {
  override readonly name = 'Violation'
  /** The invariant in a few words, the same for every instance. */
  readonly invariant: string

  constructor(invariant: string, detail: string) {
    super(`${invariant}: ${detail}`)
    this.invariant = invariant
  }
}
