/**
 * Seeds that once failed, each kept for ever with what it had found. A seed shows its own fault only as long as the same
 * world grows from it: where a change of the simulator gives it another, it stays as one more world, and what it had found
 * is planted again by the mutation that is named.
 */
export interface KeptSeed {
  readonly seed: number
  readonly found: string
  /** See `mutations.ts`. */
  readonly mutation?: string
}

export const KEPT_SEEDS: readonly KeptSeed[] = [
  {
    seed: 8,
    found: 'nobody is told of a write that a snapshot supersedes below a fork that goes on above it',
    mutation: 'superseded-unseen-only-below',
  },
  { seed: 21, found: 'a bit flipped in the row of the layout makes a store call itself newer' },
  { seed: 40, found: 'the same as seed 8, in a later simulator', mutation: 'superseded-unseen-only-below' },
  { seed: 61, found: 'a look at rest waits for a disk that waits for time: everything waits' },
  { seed: 92, found: 'an order index that does not fit its rows is read for ever' },
  { seed: 139, found: 'a disk that is repaired while its database is open' },
  {
    seed: 212,
    found: 'totals are wrong after an end in the middle of a rebuild',
    mutation: 'totals-apart-from-a-rebuild',
  },
  { seed: 497, found: 'what a node let go is offered to it late, by one neighbour after the other' },
  { seed: 1061, found: 'totals after a write that failed and was there after all' },
  { seed: 1069, found: 'a look at a broken row that cannot be repaired now' },
  { seed: 1091, found: 'what a node let go it asks for once, and is offered once' },
  {
    seed: 4204,
    found: 'an author is told that its write is there already, though an archive holds it as history',
    mutation: 'call-superseded-a-duplicate',
  },
  { seed: 6242, found: 'what was claimed while its operator let it go is different for a minute' },
  { seed: 6970, found: 'a claim of a namespace whose row was lost and that a base then took away' },
  { seed: 7107, found: 'what a snapshot superseded is asked for once more when its row has been swept' },
]
