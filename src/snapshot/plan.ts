/**
 * Plans a snapshot: contents of any size become one record, or one record and its parts, each within all limits of a payload
 * (docs/protocol.md, "Payload"). Pure and deterministic: equal arguments give equal bytes.
 *
 * Guarantee: folding the snapshot with its parts gives exactly the contents. Everything that patches can write fits, except
 * single values within a few bytes, or one member, of the largest that a patch can hold: a part has less space.
 */
import { buildPart, buildSnapshot } from '../record/build.ts'
import { recordId, type Keccak256 } from '../record/id.ts'
import { MAX_MEMBERS, MAX_PARTS, MAX_PAYLOAD_BYTES } from '../record/limits.ts'
import { compareUtf8 } from '../record/order.ts'
import { encodePayload } from '../record/payload.ts'
import type { Avatar, Citation, JsonValue, PartBody, RecordBody, SnapshotBody, StateEntry } from '../record/types.ts'
import { SnapshotError } from './errors.ts'
import { contentFaults, FAULT_TEXTS, MAX_FAULTS, pathText, type ContentFault } from './faults.ts'
import { Measure, type Size } from './measure.ts'
import { entryOverhead, splitState, stateSize } from './split.ts'

export interface SnapshotRequest {
  readonly avatar: Avatar
  readonly network: string
  /** The avatar's tips as the author sees them, in any order. The snapshot cites the greatest 16. */
  readonly prev: readonly Citation[]
  /** Unix seconds. */
  readonly createdAt: number
  /** Returns a distinct uuid for each record, `8-4-4-4-12` lower-case hex. 0 is the snapshot, 1 its first part, and so on. */
  readonly uuids: (index: number) => string
  /** In any order; none for an erasure. */
  readonly namespaces: readonly StateEntry[]
}

export interface SnapshotPlan {
  readonly snapshot: SnapshotBody
  /** In the order in which the snapshot names them; empty if the snapshot holds everything itself. */
  readonly parts: readonly PartBody[]
}

/** A fault in one of the contents. */
export interface NamespaceFault extends ContentFault {
  readonly platform: string
  readonly identity: string
}

/**
 * Returns the unsigned snapshot of these contents and its parts.
 *
 * @param options.keccak a faster keccak-256, if the caller has one
 * @throws SnapshotError for the first value that a snapshot cannot express; RecordError if a name, `createdAt` or a uuid
 *   breaks a rule of the protocol
 */
export function planSnapshot(request: SnapshotRequest, options: { readonly keccak?: Keccak256 } = {}): SnapshotPlan {
  const { avatar, network, prev, createdAt, uuids } = request
  const namespaces = sortedNamespaces(request.namespaces)
  const common = { avatar, network, createdAt }
  const measure = new Measure()
  const rooms = roomsOf(request)
  const [fault] = snapshotFaults(request, measure)
  if (fault !== undefined) {
    const where = pathText(fault.path) || 'the content'
    throw new SnapshotError(fault.code, `${fault.platform} ${fault.identity}: ${where} ${FAULT_TEXTS[fault.code]}.`)
  }

  const whole = stateSize(namespaces, measure)
  if (whole.bytes <= rooms.snapshot.bytes && whole.members <= rooms.snapshot.members) {
    return { snapshot: buildSnapshot({ ...common, prev, uuid: uuids(0), state: namespaces, parts: [] }), parts: [] }
  }
  const states = splitState(namespaces, rooms.part, measure, MAX_PARTS)
  if (states === undefined) throw tooManyParts()
  const parts = states.map((state, index) =>
    buildPart({ ...common, counter: rooms.counter, uuid: uuids(index + 1), state }),
  )
  const ids = parts.map((part) => recordId(encodePayload(part), options.keccak))
  return { snapshot: buildSnapshot({ ...common, prev, uuid: uuids(0), state: [], parts: ids }), parts }
}

/**
 * Returns the values of the contents that no snapshot can express, in order of the namespaces: all, or about 10,000.
 *
 * @throws SnapshotError `duplicate_namespace`; RecordError as `planSnapshot`
 */
export function snapshotFaults(request: SnapshotRequest, measure: Measure = new Measure()): NamespaceFault[] {
  const { part } = roomsOf(request)
  const faults: NamespaceFault[] = []
  for (const { platform, identity, content } of sortedNamespaces(request.namespaces)) {
    const overhead = entryOverhead({ platform, identity })
    const room = { bytes: part.bytes - overhead.bytes, members: part.members - overhead.members }
    for (const fault of contentFaults(content, room, measure)) faults.push({ platform, identity, ...fault })
    if (faults.length >= MAX_FAULTS) break
  }
  return faults
}

/** Space for `state` in a snapshot without parts, and in a part; and the counter of both. */
function roomsOf({ avatar, network, prev, createdAt, uuids }: SnapshotRequest) {
  const common = { avatar, network, createdAt, uuid: uuids(0), state: [] }
  const snapshot = buildSnapshot({ ...common, prev, parts: [] })
  const part = buildPart({ ...common, counter: snapshot.counter })
  return { snapshot: roomIn(snapshot), part: roomIn(part), counter: snapshot.counter }
}

function roomIn(body: RecordBody): Size {
  const { bytes, members } = new Measure().of(JSON.parse(JSON.stringify(body)) as JsonValue)
  return { bytes: MAX_PAYLOAD_BYTES - bytes, members: MAX_MEMBERS - members }
}

function sortedNamespaces(namespaces: readonly StateEntry[]): StateEntry[] {
  const sorted = [...namespaces].sort(
    (a, b) => compareUtf8(a.platform, b.platform) || compareUtf8(a.identity, b.identity),
  )
  for (const [index, { platform, identity }] of sorted.entries()) {
    const before = sorted[index - 1]
    if (before?.platform === platform && before.identity === identity) {
      throw new SnapshotError(
        'duplicate_namespace',
        `The namespace ${platform} ${identity} is given twice. Merge its contents.`,
      )
    }
  }
  return sorted
}

function tooManyParts(): SnapshotError {
  return new SnapshotError(
    'too_many_parts',
    `The contents need more than the ${MAX_PARTS} parts that one snapshot may name. First delete content that you no longer need.`,
  )
}
