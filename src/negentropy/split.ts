import type { Randomness } from '../platform/environment.ts'

/** Parts that a range is split into (16 in the reference implementation: a good balance of bytes and round trips). */
const BUCKETS = 16
/** A range of fewer items is sent as a list of ids: a split would cost as many bytes and one more round trip. */
export const MIN_ITEMS_TO_SPLIT = 2 * BUCKETS

/**
 * Ranks that split `begin` … `end` (at least 32 items) into 16 non-empty parts of similar size: 15 ranks, ascending, without
 * `begin` and `end`.
 *
 * Sums of ids can be forged: an author who tries enough ids finds two sets of them (tens of ids each) with equal sums. Two nodes
 * that hold one set each then consider a range that contains it equal. Therefore, with `random`, a part is a fifteenth wide, and
 * all parts are shifted by the same random share of that width: k neighbouring items of n are separated with a probability of
 * at least min(1, 15 (k − 1) / n) in each session, wherever they are. Without `random` the parts are always the same, and the
 * first ones have one more item if 16 does not divide the number.
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

/** A random number from 0 (inclusive) to 1 (exclusive), in steps of 2^−48. */
function fraction(random: Pick<Randomness, 'bytes'>): number {
  let value = 0
  for (const byte of random.bytes(6)) value = (value + byte) / 0x100
  return value
}
