import type { Avatar, RecordId } from '../record/types.ts'
import type { ArchiveFault } from './errors.ts'

interface Place {
  readonly avatar: Avatar
  readonly counter: number
  readonly id: RecordId
}

/** Where a record stands to those before it. */
export type Standing = 'next' | 'duplicate' | 'out_of_order'

/** Sees to the order of an archive's records, and to the avatars of which there should be some. */
export class OrderWatch {
  #last: Place | undefined
  /** The avatars that the header names, or that were asked for, with whether one of their records was seen. */
  #named: Map<Avatar, boolean> | undefined
  #why = ''

  /** @param why for people, behind "which" */
  name(avatars: Iterable<Avatar> | undefined, why: string): void {
    if (avatars !== undefined) this.#named = new Map(Array.from(avatars, (avatar) => [avatar, false]))
    this.#why = why
  }

  /** Where a sound record stands to the one before it. */
  see(place: Place): Standing {
    const last = this.#last
    const order = last === undefined ? 1 : comparePlaces(place, last)
    if (order > 0) this.#last = place
    if (this.#named?.has(place.avatar) === true) this.#named.set(place.avatar, true)
    return order > 0 ? 'next' : order === 0 ? 'duplicate' : 'out_of_order'
  }

  /** What is to be told of a record that was seen. */
  *told({ avatar, id }: Place, standing: Standing, line: number): Iterable<ArchiveFault> {
    if (standing === 'duplicate') {
      yield { code: 'duplicate', line, message: `The record ${id} stands there twice.`, fatal: false }
    } else if (standing === 'out_of_order') {
      const message = `The record ${id} stands behind others that it comes before: lines were moved or repeated.`
      yield { code: 'out_of_order', line, message, fatal: false }
    }
    if (this.#named?.has(avatar) === false) {
      const message = `The record ${id} is of ${avatar}, which the header does not name.`
      yield { code: 'unnamed_avatar', line, message, fatal: false }
    }
  }

  /** Those of which there was no sound record. */
  *absent(line: number): Iterable<ArchiveFault> {
    for (const [avatar, seen] of this.#named ?? []) {
      const message = `The archive has no sound record of ${avatar}, which ${this.#why}.`
      if (!seen) yield { code: 'absent_avatar', line, message, fatal: false }
    }
  }
}

/** The order of an archive: by avatar, then (counter, id). All are texts in lower-case hex, of one length each. */
function comparePlaces(a: Place, b: Place): number {
  if (a.avatar !== b.avatar) return a.avatar < b.avatar ? -1 : 1
  return a.counter - b.counter || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
}
