import { createHash } from 'node:crypto'
import type {
  Avatar,
  Citation,
  JsonObject,
  PartBody,
  PatchBody,
  RecordBody,
  RecordId,
  SnapshotBody,
} from '../../src/record/types.ts'
import { fromMap, mergeTrees, toTree, type Tree } from './naive-merge-patch.ts'

/*
 * docs/protocol.md, "From records to state", sentence by sentence and as slow as it may be: what the fast code is held
 * against. It shares nothing with src/state but the types of records.
 */

export interface HeldRecord<Body extends RecordBody = RecordBody> {
  readonly id: RecordId
  readonly body: Body
}

export interface NaiveFold {
  readonly head: number
  readonly tips: Citation[]
  readonly base: Citation | null
  readonly digest: string
  readonly pending: number
  readonly missing: RecordId[]
  readonly live: number
  readonly namespaces: { platform: string; identity: string; content: JsonObject }[]
  /** What `StoredRecord.status` says of each record held. */
  readonly statuses: Map<RecordId, 'stored' | 'pending' | 'superseded'>
}

type Place = Citation

const NO_BASE_ID = '00'.repeat(32)

/**
 * The state that a set of records makes. Records of other avatars are not part of the avatar's set.
 *
 * @param records in any order, each as often as one likes
 */
export function naiveFold(avatar: Avatar, records: Iterable<HeldRecord>): NaiveFold {
  const held = new Map<RecordId, HeldRecord>()
  for (const { id, body } of records) if (body.avatar === avatar) held.set(id, { id, body })
  const all = [...held.values()].sort(byPlace)

  // 1. Complete snapshots and the base.
  const complete = all
    .filter(isSnapshot)
    .filter((snapshot) => partsOf(held, snapshot).length === snapshot.body.parts.length)
  const base = complete.at(-1)
  const baseCounter = base === undefined ? 0 : base.body.counter

  // 2. Superseded and live.
  const live = all.filter((record) => record.body.counter >= baseCounter)

  // 3. Visible, pending, missing.
  const patches = live.filter(isPatch)
  const visible = visiblePatches(held, patches, complete, baseCounter)
  const pending = patches.filter((patch) => !visible.has(patch.id))
  const incomplete = live.filter(isSnapshot).filter((snapshot) => !complete.includes(snapshot))
  const needed = [
    ...pending.flatMap((patch) =>
      patch.body.prev.filter((cited) => cited.counter >= baseCounter).map((cited) => cited.id),
    ),
    ...incomplete.flatMap((snapshot) => snapshot.body.parts),
  ]
  const missing = [...new Set(needed)].filter((id) => !live.some((record) => record.id === id)).sort()

  // 4. Content.
  const applied = patches.filter((patch) => visible.has(patch.id))
  const steps = [
    ...(base === undefined ? [] : [base, ...partsOf(held, base)].flatMap((source) => source.body.state)),
    ...applied.map(({ body }) => ({ platform: body.platform, identity: body.identity, content: body.patch })),
  ]

  const shown: HeldRecord[] = [...applied, ...(base === undefined ? [] : [base])].sort(byPlace)
  const cited = applied.flatMap((patch) => patch.body.prev)
  const tips = shown.map(placeOf).filter((place) => !cited.some((citation) => samePlace(citation, place)))

  const counting = new Set<RecordId>([
    ...visible,
    ...complete.map((snapshot) => snapshot.id),
    ...(base?.body.parts ?? []),
  ])
  return {
    head: Math.max(0, ...tips.map((tip) => tip.counter)),
    tips,
    base: base === undefined ? null : placeOf(base),
    digest: digestOf(base?.id, tips),
    pending: pending.length,
    missing,
    live: live.length,
    namespaces: foldContent(steps),
    statuses: new Map(
      all.map(({ id, body }) => [
        id,
        body.counter < baseCounter ? 'superseded' : counting.has(id) ? 'stored' : 'pending',
      ]),
    ),
  }
}

/** The parts that a snapshot names and that are held "as a part of the same avatar and counter", in its order. */
function partsOf(held: ReadonlyMap<RecordId, HeldRecord>, snapshot: HeldRecord<SnapshotBody>): HeldRecord<PartBody>[] {
  return snapshot.body.parts
    .map((id) => held.get(id))
    .filter((record) => record !== undefined)
    .filter(isPart)
    .filter((part) => part.body.counter === snapshot.body.counter)
}

/** Goes round until a round finds nothing more to show. */
function visiblePatches(
  held: ReadonlyMap<RecordId, HeldRecord>,
  patches: readonly HeldRecord<PatchBody>[],
  complete: readonly HeldRecord<SnapshotBody>[],
  baseCounter: number,
): Set<RecordId> {
  const visible = new Set<RecordId>()
  const settled = (citation: Citation): boolean => {
    if (citation.counter < baseCounter) return true
    const record = held.get(citation.id)
    if (record === undefined || record.body.counter !== citation.counter) return false
    if (visible.has(record.id)) return true
    return record.body.counter === baseCounter && complete.some((snapshot) => snapshot.id === record.id)
  }
  for (;;) {
    const found = patches.filter((patch) => !visible.has(patch.id) && patch.body.prev.every(settled))
    if (found.length === 0) return visible
    for (const patch of found) visible.add(patch.id)
  }
}

function foldContent(
  steps: readonly { platform: string; identity: string; content: JsonObject }[],
): { platform: string; identity: string; content: JsonObject }[] {
  const contents: { platform: string; identity: string; content: Tree }[] = []
  for (const { platform, identity, content } of steps) {
    let entry = contents.find((other) => other.platform === platform && other.identity === identity)
    if (entry === undefined) {
      entry = { platform, identity, content: new Map<string, Tree>() }
      contents.push(entry)
    }
    entry.content = mergeTrees(entry.content, toTree(content))
  }
  return contents
    .sort((left, right) => byBytes(left.platform, right.platform) || byBytes(left.identity, right.identity))
    .map(({ platform, identity, content }) => {
      if (!(content instanceof Map)) throw new Error('a content is always an object')
      return { platform, identity, content: fromMap(content) }
    })
}

function digestOf(baseId: RecordId | undefined, tips: readonly Citation[]): string {
  const hash = createHash('sha256')
  hash.update(Buffer.from(baseId?.slice(2) ?? NO_BASE_ID, 'hex'))
  for (const tip of tips) hash.update(Buffer.from(tip.id.slice(2), 'hex'))
  return hash.digest('hex')
}

function isPatch(record: HeldRecord): record is HeldRecord<PatchBody> {
  return record.body.type === 'patch'
}

function isSnapshot(record: HeldRecord): record is HeldRecord<SnapshotBody> {
  return record.body.type === 'snapshot'
}

function isPart(record: HeldRecord): record is HeldRecord<PartBody> {
  return record.body.type === 'part'
}

function placeOf(record: HeldRecord): Place {
  return { counter: record.body.counter, id: record.id }
}

function samePlace(left: Place, right: Place): boolean {
  return left.counter === right.counter && left.id === right.id
}

function byPlace(left: HeldRecord, right: HeldRecord): number {
  return left.body.counter - right.body.counter || (left.id < right.id ? -1 : 1)
}

function byBytes(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left, 'utf8'), Buffer.from(right, 'utf8'))
}
