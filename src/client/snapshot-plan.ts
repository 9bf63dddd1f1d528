/** Snapshots planned on what a node was found to hold, to be signed here or elsewhere. */
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'

import type { Keccak256 } from '../record/id.ts'
import { recordId } from '../record/id.ts'
import { citationOf, compareCitations, compareRecords } from '../record/order.ts'
import { encodePayload } from '../record/payload.ts'
import { signRecord, type SigningKey } from '../record/sign.ts'
import { SIGNATURE_BYTES } from '../record/signature.ts'
import type { Avatar, Citation, RecordId, SnapshotBody, StateEntry, VerifiedRecord } from '../record/types.ts'
import { planSnapshot } from '../snapshot/plan.ts'
import type { SnapshotPlan } from '../snapshot/plan.ts'
import type { NodeCheck } from './check-node.ts'
import { recordText } from './sign-patch.ts'
import type { RecordText } from './types.ts'

/** Incomplete snapshots for which it is tried whether they are what is to be said now. */
const MAX_RESUMABLE = 2

export interface SnapshotSubject {
  readonly avatar: Avatar
  readonly network: string
  readonly namespaces: readonly StateEntry[]
  /** Unix seconds. */
  readonly now: number
  readonly keccak: Keccak256
  /** Whether the snapshot is to supersede all that is held, what cannot be shown yet included. Default false. */
  readonly erase?: boolean
}

/** A plan, and the records that it takes: the snapshot, which a full node lets in first, then its parts in order. */
export interface PlannedSnapshot {
  readonly plan: SnapshotPlan
  readonly records: readonly { readonly id: RecordId; readonly payload: string }[]
  /** Of payloads and signatures. */
  readonly bytes: number
  /** Whether the node has this snapshot already, and only parts are still to come. */
  readonly resumed: boolean
}

/**
 * Plans a snapshot on what a node holds. Where an earlier run was cut before all parts were there, and the contents are
 * still the same, it is that very snapshot again; else the new one stands above all incomplete ones, and so ends them.
 * One that erases stands above all that waits for others, too: a base does not depend on what it cites.
 *
 * @param check what the node holds; undefined where it does not know the avatar
 * @throws SnapshotError, RecordError as `planSnapshot`
 */
export function planOn(
  check: Pick<NodeCheck, 'fold' | 'records'> | undefined,
  subject: SnapshotSubject,
): PlannedSnapshot {
  const { avatar, network, namespaces, now, keccak } = subject
  const common = { avatar, network, namespaces }
  const tips = check?.fold.tips ?? []
  const incomplete = check === undefined ? [] : incompleteSnapshots(check)

  const head = tips.at(-1)
  const resumable = incomplete.filter(({ body }) => head === undefined || body.prev.some(({ id }) => id === head.id))
  for (const { id, body } of resumable.slice(-MAX_RESUMABLE).reverse()) {
    const request = { ...common, prev: body.prev, createdAt: body.created_at, uuids: uuidsOf(avatar, body.created_at) }
    const planned = withRecords(planSnapshot(request, { keccak }), true, keccak)
    if (planned.records[0]?.id === id) return planned
  }
  // No counter may be above the time; a record that a client with a wrong clock made may leave no room above it.
  const unfinished = incomplete.map(citationOf).filter(({ counter }) => counter < now)
  const waiting = check !== undefined && subject.erase === true ? waitingEnds(check, now).map(citationOf) : []
  const prev = [...tips, ...unfinished, ...waiting].sort(compareCitations)
  const request = { ...common, prev, createdAt: now, uuids: uuidsOf(avatar, now) }
  return withRecords(planSnapshot(request, { keccak }), false, keccak)
}

/** Signs all records of a plan, in its order. */
export function signPlan({ plan }: PlannedSnapshot, key: SigningKey): RecordText[] {
  return [plan.snapshot, ...plan.parts].map((body) => recordText(signRecord(body, key)))
}

function withRecords(plan: SnapshotPlan, resumed: boolean, keccak: Keccak256): PlannedSnapshot {
  let bytes = 0
  const records = [plan.snapshot, ...plan.parts].map((body) => {
    const payload = encodePayload(body)
    bytes += payload.length + SIGNATURE_BYTES
    return { id: recordId(payload, keccak), payload: new TextDecoder().decode(payload) }
  })
  return { plan, records, bytes, resumed }
}

/** Live snapshots that lack parts, in order. */
function incompleteSnapshots({ fold, records }: Pick<NodeCheck, 'fold' | 'records'>): CheckedSnapshot[] {
  const parts = new Map<RecordId, number>()
  for (const { id, body } of records) if (body.type === 'part') parts.set(id, body.counter)
  const isHeld = (body: SnapshotBody): boolean => body.parts.every((id) => parts.get(id) === body.counter)
  return records
    .filter(isSnapshot)
    .filter(({ body }) => body.counter >= (fold.base?.counter ?? 0) && !isHeld(body))
    .sort(compareRecords)
}

/**
 * What is above all else with a counter below `before` that is live and waits: pending patches that no other one cites, and
 * of the parts without a snapshot the greatest.
 */
function waitingEnds({ fold, records }: Pick<NodeCheck, 'fold' | 'records'>, before: number): VerifiedRecord[] {
  const live = records.filter(({ body }) => body.counter >= (fold.base?.counter ?? 0) && body.counter < before)
  // A citation may name a counter that is not the record's; only one that does stands above it.
  const key = ({ counter, id }: Citation): string => `${counter} ${id}`
  const below = new Set(live.flatMap(({ body }) => (body.type === 'patch' ? body.prev.map(key) : [])))
  const named = new Set(live.flatMap(({ body }) => (body.type === 'snapshot' ? body.parts : [])))
  const tips = new Set(fold.tips.map(({ id }) => id))
  const patches = live.filter(
    (one) => one.body.type === 'patch' && !below.has(key(citationOf(one))) && !tips.has(one.id),
  )
  const strays = live.filter(({ id, body }) => body.type === 'part' && !named.has(id)).sort(compareRecords)
  return [...patches, ...strays.slice(-1)]
}

type CheckedSnapshot = VerifiedRecord & { readonly body: SnapshotBody }

function isSnapshot(record: VerifiedRecord): record is CheckedSnapshot {
  return record.body.type === 'snapshot'
}

/** Uuids that follow from avatar, time and index, so that a run that was cut short is repeated to the byte. */
function uuidsOf(avatar: Avatar, createdAt: number): (index: number) => string {
  return (index) => {
    const hex = bytesToHex(sha256(utf8ToBytes(`avatar-kv snapshot ${avatar} ${createdAt} ${index}`)))
    // Version 8, which RFC 9562 (section 5.8) leaves to applications, and its variant.
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
  }
}
