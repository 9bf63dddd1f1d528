import type { RecordId } from '../record/types.ts'

/**
 * When a value was written: the record's place, and whether that record is the base. A base comes before every patch with
 * the same counter, whatever the ids.
 */
export interface Stamp {
  readonly counter: number
  readonly id: RecordId
  readonly base: boolean
}

/** Orders writes as docs/protocol.md "From records to state" rule 4 applies them. */
export function compareStamps(a: Stamp, b: Stamp): number {
  if (a.counter !== b.counter) return a.counter - b.counter
  if (a.base !== b.base) return a.base ? -1 : 1
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0
}
