import type { Bound, Item } from './types.ts'

/** Order of byte strings as if the shorter one went on with zero bytes: negative, 0 or positive. */
function comparePadded(a: Uint8Array, b: Uint8Array): number {
  const length = Math.max(a.length, b.length)
  for (let at = 0; at < length; at += 1) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** Order of items and bounds: by timestamp, then by id, a short one going on with zero bytes (specification, "Bound"). */
export function compareBounds(a: Bound, b: Bound): number {
  if (a.timestamp !== b.timestamp) return a.timestamp < b.timestamp ? -1 : 1
  return comparePadded(a.id, b.id)
}

/** The shortest bound above `previous` and not above `next`, two neighbours (specification, "Bound"). */
export function boundBetween(previous: Item, next: Item): Bound {
  if (previous.timestamp !== next.timestamp) return { timestamp: next.timestamp, id: next.id.subarray(0, 0) }
  let shared = 0
  while (shared < next.id.length && previous.id[shared] === next.id[shared]) shared += 1
  return { timestamp: next.timestamp, id: next.id.subarray(0, shared + 1) }
}
