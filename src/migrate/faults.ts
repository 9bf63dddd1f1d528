import { MAX_EXAMPLES } from './limits.ts'

/** The text of an example comes from a stranger. */
const MAX_CHARACTERS = 200

/** Counts what a host sent besides sound records, and keeps the first few as text. */
export class FaultLog {
  count = 0
  readonly examples: string[] = []

  note(what: string): void {
    this.count += 1
    if (this.examples.length < MAX_EXAMPLES) this.examples.push(what.slice(0, MAX_CHARACTERS))
  }
}
