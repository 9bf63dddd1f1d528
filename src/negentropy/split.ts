import type { Randomness } from '../platform/environment.ts'

/** Parts that a range is split into (16 in the reference implementation: a good balance of bytes and round trips). */
const BUCKETS = 16
/** A range of fewer items is told as a list of ids: a split would cost as many bytes and one more round trip. */
export const MIN_ITEMS_TO_SPLIT = 2 * BUCKETS

/**
 * Ranks that split `begin` … `end` (at least 32 items) into 16 parts of about one size, none of them empty: 15 ranks,
 * ascending, `begin` and `end` themselves left out.
 *
 * Sums of ids can be forged: an author who tries enough ids finds two sets of them (tens of ids each) with one sum, and two
 * nodes that hold one set each take a range that contains it for equal. So with `random` the parts are as wide as a
 * fifteenth, and moved as a whole by a random share of their width: k neighbouring items of n are cut apart with
 * probability of at least min(1, 15 (k − 1) / n) in each session, wherever they lie. Without it the parts are always the
 * same: the first ones have one item more where 16 does not divide the number.
 */
export function cutPoints(begin: number, end: number, random: Pick<Randomness, 'bytes'> | undefined): number[] {
  const count = end - begin
  const cuts: number[] = []
  if (random === undefined) {
    const width = Math.floor(count / BUCKETS)
    const wider = count % BUCKETS
    for (let part = 1; part < BUCKETS; part += 1) cuts.push(begin + part * width + Math.min(part, wider))
    return cuts
  }
  const width = count / (BUCKETS - 1)
  const shift = fraction(random)
  for (let part = 0; part < BUCKETS - 1; part += 1) {
    cuts.push(begin + Math.min(Math.max(Math.floor((part + shift) * width), 1), count - 1))
  }
  return cuts
}

/** At random from 0 (inclusive) to 1 (exclusive), in steps of 2^−48. */
function fraction(random: Pick<Randomness, 'bytes'>): number {
  let value = 0
  for (const byte of random.bytes(6)) value = (value + byte) / 0x100
  return value
}
