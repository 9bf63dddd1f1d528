import type { Avatar, RecordId } from '../record/types.ts'
import type { FaultLog } from './errors.ts'

interface Position {
  readonly avatar: Avatar
  readonly counter: number
  readonly id: RecordId
}

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

  /** Compares a sound record with those before it, and adds what is wrong with it to `faults`. */
  check(position: Position, line: number, faults: FaultLog): 'next' | 'duplicate' | 'out_of_order' {
    const { avatar, id } = position
    const order = this.#last === undefined ? 1 : comparePositions(position, this.#last)
    if (order > 0) this.#last = position
    if (this.#named?.has(avatar) === true) this.#named.set(avatar, true)
    if (order === 0) {
      faults.add({ code: 'duplicate', line, message: `The record ${id} is in the archive twice.`, fatal: false })
    } else if (order < 0) {
      const message = `The record ${id} comes after records that it must precede: lines were moved or repeated.`
      faults.add({ code: 'out_of_order', line, message, fatal: false })
    }
    if (this.#named?.has(avatar) === false) {
      const message = `The record ${id} is of ${avatar}, which the header does not name.`
      faults.add({ code: 'unnamed_avatar', line, message, fatal: false })
    }
    return order > 0 ? 'next' : order === 0 ? 'duplicate' : 'out_of_order'
  }

  /** Adds a fault for each expected avatar of which there was no sound record. */
  addAbsent(line: number, faults: FaultLog): void {
    for (const [avatar, seen] of this.#named ?? []) {
      const message = `The archive has no sound record of ${avatar}, which ${this.#why}.`
      if (!seen) faults.add({ code: 'absent_avatar', line, message, fatal: false })
    }
  }
}

/** The order of an archive: by avatar, then (counter, id). All are texts in lower-case hex, of one length each. */
function comparePositions(a: Position, b: Position): number {
  if (a.avatar !== b.avatar) return a.avatar < b.avatar ? -1 : 1
  return a.counter - b.counter || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
}
