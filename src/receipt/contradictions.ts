/**
 * Finds receipts that contradict each other (docs/protocol.md, "Receipts"). A node that hosts an avatar only gains records of
 * it, except for records that a newer base supersedes. So its greatest visible record never falls, and an earlier state never
 * returns.
 */
import type { Receipt } from './receipt.ts'

/**
 * `digest_of_two_places`: one digest with two greatest visible records. `place_fell`: a later receipt has a smaller one.
 * `records_vanished`: a later receipt has the same digest and fewer records. `state_returned`: a digest, later another one,
 * and then the first one again.
 */
export type ContradictionRule = 'digest_of_two_places' | 'place_fell' | 'records_vanished' | 'state_returned'

/** Receipts that cannot all be true. */
export interface Contradiction {
  readonly rule: ContradictionRule
  /** Two receipts, or three for `state_returned`, in order of their times. */
  readonly receipts: readonly Receipt[]
  /** Whether one peer signed all of them. If not, one of two peers signed something false; their records show which. */
  readonly samePeer: boolean
}

/**
 * Returns the contradictions among receipts, at most one for each rule and receipt, each with the receipts that prove it.
 * Receipts of the same second contradict each other only by `digest_of_two_places`, since their order is unknown.
 *
 * @param receipts with good signatures, in any order, of any avatars, networks and peers
 */
export function findContradictions(receipts: Iterable<Receipt>): Contradiction[] {
  const all = [...receipts].toSorted((a, b) => a.time - b.time)
  return group(all, ({ network, avatar }) => `${network} ${avatar}`).flatMap((ofAvatar) => [
    ...group(ofAvatar, ({ digest }) => digest).flatMap(positionsOfDigest),
    ...group(ofAvatar, ({ peer_id }) => peer_id).flatMap(contradictionsInTime),
  ])
}

/** A digest determines the tips, and so the greatest visible record. Of two receipts that disagree on it, one is false. */
function positionsOfDigest(ofDigest: readonly Receipt[]): Contradiction[] {
  const [first] = ofDigest
  const other = ofDigest.find((each) => first !== undefined && comparePositions(each, first) !== 0)
  if (first === undefined || other === undefined) return []
  return [{ rule: 'digest_of_two_places', receipts: [first, other], samePeer: first.peer_id === other.peer_id }]
}

/** Returns the contradictions among receipts of one peer for one avatar, given in order of time. */
function contradictionsInTime(ofPeer: readonly Receipt[]): Contradiction[] {
  const found: Contradiction[] = []
  const say = (rule: ContradictionRule, ...receipts: Receipt[]) => found.push({ rule, receipts, samePeer: true })
  const firstOfDigest = new Map<string, Receipt>()
  const mostOfDigest = new Map<string, Receipt>()
  let greatest: Receipt | undefined
  /** The latest receipt, and the latest one with another digest than that. */
  let latest: Receipt | undefined
  let latestOther: Receipt | undefined

  for (const ofSecond of group(ofPeer, ({ time }) => String(time))) {
    for (const receipt of ofSecond) {
      const { digest } = receipt
      if (greatest !== undefined && comparePositions(receipt, greatest) < 0) say('place_fell', greatest, receipt)
      const most = mostOfDigest.get(digest)
      if (most !== undefined && receipt.records < most.records) say('records_vanished', most, receipt)
      const first = firstOfDigest.get(digest)
      const between = latest?.digest === digest ? latestOther : latest
      if (first !== undefined && between !== undefined && between.time > first.time) {
        say('state_returned', first, between, receipt)
      }
    }
    for (const receipt of ofSecond) {
      const { digest } = receipt
      if (greatest === undefined || comparePositions(receipt, greatest) > 0) greatest = receipt
      if (receipt.records > (mostOfDigest.get(digest)?.records ?? -1)) mostOfDigest.set(digest, receipt)
      if (!firstOfDigest.has(digest)) firstOfDigest.set(digest, receipt)
      if (latest !== undefined && latest.digest !== digest) latestOther = latest
      latest = receipt
    }
  }
  return found
}

/** Compares receipts by their greatest visible record, (head, id). A receipt without a visible record comes first. */
function comparePositions(a: Receipt, b: Receipt): number {
  const [x, y] = [a.id ?? '', b.id ?? '']
  return a.head - b.head || (x < y ? -1 : x > y ? 1 : 0)
}

/** Groups receipts by a key. Groups are in order of their first members, and keep the given order inside. */
function group(receipts: readonly Receipt[], keyOf: (receipt: Receipt) => string): Receipt[][] {
  const groups = new Map<string, Receipt[]>()
  for (const receipt of receipts) {
    const key = keyOf(receipt)
    const existing = groups.get(key)
    if (existing === undefined) groups.set(key, [receipt])
    else existing.push(receipt)
  }
  return [...groups.values()]
}
