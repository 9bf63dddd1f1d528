import type { Avatar, RecordId } from '../record/types.ts'
import type { ArchiveFault } from './errors.ts'

interface Position {
  readonly avatar: Avatar
  readonly counter: number
  readonly id: RecordId
}

/** How a record compares with those before it. */
export type OrderCheck = 'next' | 'duplicate' | 'out_of_order'

/** Checks the order of an archive's records, and that there are records of every avatar that should be there. */
export class OrderChecker {
  #last: Position | undefined
  /** The avatars that the header names, or that were asked for, and whether a record of each was seen. */
  #named: Map<Avatar, boolean> | undefined
  #why = ''

  /** @param why for people, after "which" */
  expect(avatars: Iterable<Avatar> | undefined, why: string): void {
    if (avatars !== undefined) this.#named = new Map(Array.from(avatars, (avatar) => [avatar, false]))
    this.#why = why
  }

  /** Compares a sound record with those before it. */
  check(position: Position): OrderCheck {
    const last = this.#last
    const order = last === undefined ? 1 : comparePositions(position, last)
    if (order > 0) this.#last = position
    if (this.#named?.has(position.avatar) === true) this.#named.set(position.avatar, true)
    return order > 0 ? 'next' : order === 0 ? 'duplicate' : 'out_of_order'
  }

  /** The faults of a record that was checked. */
  *faultsOf({ avatar, id }: Position, order: OrderCheck, line: number): Iterable<ArchiveFault> {
    if (order === 'duplicate') {
      yield { code: 'duplicate', line, message: `The record ${id} is in the archive twice.`, fatal: false }
    } else if (order === 'out_of_order') {
      const message = `The record ${id} comes after records that it must precede: lines were moved or repeated.`
      yield { code: 'out_of_order', line, message, fatal: false }
    }
    if (this.#named?.has(avatar) === false) {
      const message = `The record ${id} is of ${avatar}, which the header does not name.`
      yield { code: 'unnamed_avatar', line, message, fatal: false }
    }
  }

  /** Faults for the expected avatars of which there was no sound record. */
  *absent(line: number): Iterable<ArchiveFault> {
    for (const [avatar, seen] of this.#named ?? []) {
      const message = `The archive has no sound record of ${avatar}, which ${this.#why}.`
      if (!seen) yield { code: 'absent_avatar', line, message, fatal: false }
    }
  }
}

/** The order of an archive: by avatar, then (counter, id). All are texts in lower-case hex, of one length each. */
function comparePositions(a: Position, b: Position): number {
  if (a.avatar !== b.avatar) return a.avatar < b.avatar ? -1 : 1
  return a.counter - b.counter || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
}
