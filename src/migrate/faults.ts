import { MAX_EXAMPLES } from './limits.ts'
import type { Faults } from './types.ts'

/** Text of a stranger that is kept of each example. */
const MAX_CHARACTERS = 200

/** Counts what a host handed out beside sound records, and keeps the first few in words. */
export class FaultLog implements Faults {
  count = 0
  readonly examples: string[] = []

  note(what: string): void {
    this.count += 1
    if (this.examples.length < MAX_EXAMPLES) this.examples.push(what.slice(0, MAX_CHARACTERS))
  }
}
