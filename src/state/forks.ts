import { MAX_PREV } from '../record/limits.ts'
import { compareCitations } from '../record/order.ts'
import type { Citation, RecordBody, RecordId } from '../record/types.ts'

/** A record that may be concurrent with others: its place, and what it cites. */
interface Node {
  readonly place: Citation
  readonly prev: readonly Citation[]
}

/** A stretch of an avatar's history that more than one hand wrote at once. */
export interface Fork {
  /** Places in order; of any two neighbouring stretches of history, all of one come before all of the other. */
  readonly records: readonly Citation[]
  /** Those that no other record of the fork cites: more than one in an open fork, and in one that was joined by a write. */
  readonly ends: readonly Citation[]
  /** Whether nothing that is visible has joined it yet. */
  readonly open: boolean
}

/**
 * The forks in what is visible of an avatar. Two records are concurrent when neither cites the other, be it through others.
 * A fork is a group of records, each concurrent with another one of the group, that every other visible record comes wholly
 * before or wholly after; what is in no fork is concurrent with nothing. Costs by the number of citations.
 *
 * @param records all verified records held, live or not
 * @param base the avatar's base
 * @returns in order of history, oldest first
 */
export function findForks(
  records: ReadonlyMap<RecordId, { readonly body: RecordBody }>,
  base: Citation | null,
): Fork[] {
  const nodes = visibleNodes(records, base)
  const at = new Map<RecordId, number>(nodes.map(({ place }, index) => [place.id, index]))
  // A citation names a record only if the counter is its own too.
  const cited = nodes.map(({ prev }) =>
    prev.flatMap(({ counter, id }) => {
      const index = at.get(id)
      return index !== undefined && nodes[index]?.place.counter === counter ? [index] : []
    }),
  )
  const forks: Fork[] = []
  let start = 0
  for (const end of cuts(cited)) {
    if (end - start > 1) {
      const inside = nodes.slice(start, end).map(({ place }) => place)
      const joined = new Set(cited.slice(start, end).flat())
      const ends = inside.filter((_, index) => !joined.has(start + index))
      forks.push({ records: inside, ends, open: end === nodes.length })
    }
    start = end
  }
  return forks
}

/**
 * Visible patches and, at their head, the snapshots that these may stand on: complete ones at the base's counter
 * (docs/protocol.md, "From records to state"). In order of (counter, id), in which what is cited comes before what cites.
 */
function visibleNodes(records: ReadonlyMap<RecordId, { readonly body: RecordBody }>, base: Citation | null): Node[] {
  const floor = base?.counter ?? 0
  const live = [...records]
    .map(([id, { body }]) => ({ place: { counter: body.counter, id }, body }))
    .filter(({ place }) => place.counter >= floor)
    .sort((a, b) => compareCitations(a.place, b.place))
  const settled = new Map<RecordId, number>()
  const nodes: Node[] = []
  for (const { place, body } of live) {
    if (body.type !== 'snapshot' || base === null || place.counter !== floor) continue
    const isComplete = body.parts.every((id) => {
      const part = records.get(id)?.body
      return part?.type === 'part' && part.counter === floor
    })
    if (!isComplete) continue
    settled.set(place.id, place.counter)
    nodes.push({ place, prev: [] })
  }
  for (const { place, body } of live) {
    if (body.type !== 'patch') continue
    if (!body.prev.every(({ counter, id }) => counter < floor || settled.get(id) === counter)) continue
    settled.set(place.id, place.counter)
    nodes.push({ place, prev: body.prev })
  }
  return nodes.sort((a, b) => compareCitations(a.place, b.place))
}

/**
 * Returns every position `end` at which history is one line: each node from `end` on comes after each node before it. That
 * holds where the next nodes cite all tips of what was before. A node cites only earlier ones in the list, so it is enough to
 * look at the nodes that cite nothing later than the last one before `end`.
 */
function cuts(cited: readonly (readonly number[])[]): number[] {
  const latest = cited.map((places) => Math.max(-1, ...places))
  /** By place: the earliest of the latest citations from there on. */
  const earliest = Array.from<number>({ length: latest.length + 1 }).fill(Number.POSITIVE_INFINITY)
  const children = new Map<number, number[]>()
  for (let index = latest.length - 1; index >= 0; index--) {
    const last = latest[index] ?? -1
    earliest[index] = Math.min(earliest[index + 1] ?? 0, last)
    const siblings = children.get(last)
    if (siblings === undefined) children.set(last, [index])
    else siblings.push(index)
  }
  const found: number[] = []
  const ends = new Set<number>()
  for (const [index, places] of cited.entries()) {
    for (const place of places) ends.delete(place)
    ends.add(index)
    if ((earliest[index + 1] ?? 0) < index) continue
    const next = children.get(index) ?? []
    if (next.length > 0 && ends.size > MAX_PREV) continue
    if (next.every((child) => isSubset(ends, cited[child] ?? []))) found.push(index + 1)
  }
  return found
}

function isSubset(some: ReadonlySet<number>, all: readonly number[]): boolean {
  for (const each of some) if (!all.includes(each)) return false
  return true
}
