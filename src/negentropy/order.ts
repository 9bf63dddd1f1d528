import type { Bound, Item } from './types.ts'

/** Compares byte strings as if the shorter one were padded with zero bytes: negative, 0 or positive. */
function comparePadded(a: Uint8Array, b: Uint8Array): number {
  const length = Math.max(a.length, b.length)
  for (let at = 0; at < length; at += 1) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** Compares items and bounds by timestamp, then by id padded with zero bytes (specification, "Bound"). */
export function compareBounds(a: Bound, b: Bound): number {
  if (a.timestamp !== b.timestamp) return a.timestamp < b.timestamp ? -1 : 1
  return comparePadded(a.id, b.id)
}

/** The shortest bound that separates two neighbours: above `previous`, at most `next` (specification, "Bound"). */
export function boundBetween(previous: Item, next: Item): Bound {
  if (previous.timestamp !== next.timestamp) return { timestamp: next.timestamp, id: next.id.subarray(0, 0) }
  let shared = 0
  while (shared < next.id.length && previous.id[shared] === next.id[shared]) shared += 1
  return { timestamp: next.timestamp, id: next.id.subarray(0, shared + 1) }
}

/** The first rank from `low` on for which `isBelow` is false; `high` if there is none. Ranks below it come first. */
export function firstNotBelow(low: number, high: number, isBelow: (rank: number) => boolean): number {
  let [from, to] = [low, high]
  while (from < to) {
    const middle = Math.floor((from + to) / 2)
    if (isBelow(middle)) from = middle + 1
    else to = middle
  }
  return from
}
