/**
 * What receipts show about those who signed them (docs/protocol.md, "Receipts"). The rules follow from the protocol's: a node
 * that keeps an avatar only ever gains records of it, apart from what a newer base supersedes; so the greatest visible
 * record never falls, and a state that was left never comes back.
 */
import type { Receipt } from './receipt.ts'

/**
 * `digest_of_two_places`: one digest with two heads. `place_fell`: later a lesser head. `records_vanished`: the same digest, and
 * later fewer records. `state_returned`: a digest, another one later, and after that the first again.
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
 * The contradictions among receipts, at most one a rule and receipt, each with the receipts that prove it. Receipts of one
 * second contradict each other only by `digest_of_two_places`: nothing says which came first.
 *
 * @param receipts with good signatures, in any order, of any avatars, networks and peers
 */
export function findContradictions(receipts: Iterable<Receipt>): Contradiction[] {
  const all = [...receipts].toSorted((a, b) => a.time - b.time)
  return group(all, ({ network, avatar }) => `${network} ${avatar}`).flatMap((ofAvatar) => [
    ...group(ofAvatar, ({ digest }) => digest).flatMap(placesOfDigest),
    ...group(ofAvatar, ({ peer_id }) => peer_id).flatMap(course),
  ])
}

/** A digest names the tips, and so the greatest visible record; whoever signed it with another signed something false. */
function placesOfDigest(ofDigest: readonly Receipt[]): Contradiction[] {
  const [first] = ofDigest
  const other = ofDigest.find((each) => first !== undefined && comparePlaces(each, first) !== 0)
  if (first === undefined || other === undefined) return []
  return [{ rule: 'digest_of_two_places', receipts: [first, other], samePeer: first.peer_id === other.peer_id }]
}

/** Receipts of one peer over one avatar, in order of time. */
function course(ofPeer: readonly Receipt[]): Contradiction[] {
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
      if (greatest !== undefined && comparePlaces(receipt, greatest) < 0) say('place_fell', greatest, receipt)
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
      if (greatest === undefined || comparePlaces(receipt, greatest) > 0) greatest = receipt
      if (receipt.records > (mostOfDigest.get(digest)?.records ?? -1)) mostOfDigest.set(digest, receipt)
      if (!firstOfDigest.has(digest)) firstOfDigest.set(digest, receipt)
      if (latest !== undefined && latest.digest !== digest) latestOther = latest
      latest = receipt
    }
  }
  return found
}

/** Orders receipts by the place of the greatest visible record, (head, id); nothing visible comes first. */
function comparePlaces(a: Receipt, b: Receipt): number {
  const [x, y] = [a.id ?? '', b.id ?? '']
  return a.head - b.head || (x < y ? -1 : x > y ? 1 : 0)
}

/** Groups in order of their first members, each in the given order. */
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
