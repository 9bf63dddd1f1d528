import type { Citation, RecordBody } from '../record/types.ts'
import { compareCitations } from '../record/order.ts'
import { PlaceSet } from './place-set.ts'

/** Most records that a walk reads: bounds the cost of one snapshot over a wide fork to about 60 ms. */
const MAX_WALK_RECORDS = 2_000

/**
 * The patches that a snapshot supersedes although its author had not seen them: the snapshot cites them neither directly nor
 * through other records. Walks both histories down from their ends, greatest place first, until they meet.
 *
 * @param counter the snapshot's counter: a record that is not below it stays live, but may cite records below it
 * @param uncited ends of the history that the snapshot does not cite: tips, and pending patches
 * @param cited the snapshot's own citations
 * @param patch the body of a held live patch, undefined for anything else
 * @returns places in ascending order; after 2,000 records looked at, those found so far
 */
export function supersededUnseen(
  counter: number,
  uncited: readonly Citation[],
  cited: readonly Citation[],
  patch: (place: Citation) => RecordBody | undefined,
): Citation[] {
  const open = new PlaceSet([...uncited, ...cited])
  const seen = new Set(cited.map((place) => place.id))
  const lost: Citation[] = []
  let openLost = uncited.length
  for (let walked = 0; openLost > 0 && walked < MAX_WALK_RECORDS; walked += 1) {
    const place = open.places.at(-1)
    if (place === undefined) break
    open.delete(place)
    const wasSeen = seen.has(place.id)
    if (!wasSeen) {
      openLost -= 1
      if (place.counter < counter) lost.push(place)
    }
    const body = patch(place)
    if (body?.type !== 'patch') continue
    for (const parent of body.prev) {
      if (patch(parent) === undefined) continue
      const isNew = open.add(parent)
      if (wasSeen) {
        if (!isNew && !seen.has(parent.id)) openLost -= 1
        seen.add(parent.id)
      } else if (isNew && !seen.has(parent.id)) {
        openLost += 1
      }
    }
  }
  return lost.sort(compareCitations)
}
