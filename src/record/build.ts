import { compareCitations, compareNamespaces } from './order.ts'
import { MAX_PREV } from './limits.ts'
import { decodePayload, encodePayload } from './payload.ts'
import type { Avatar, Citation, JsonObject, RecordBody, RecordId, StateEntry } from './types.ts'
import type { PartBody, PatchBody, SnapshotBody } from './types.ts'

interface Common {
  readonly avatar: Avatar
  readonly network: string
  /** Unix seconds. */
  readonly createdAt: number
  /** `8-4-4-4-12` lower-case hex. */
  readonly uuid: string
}

interface Next extends Common {
  /** The tips that the author has seen, in any order. The greatest 16 are cited. */
  readonly prev: readonly Citation[]
}

/** What `buildPatch` makes a patch of. */
export interface PatchParts extends Next {
  readonly platform: string
  readonly identity: string
  /** Applied by RFC 7396. */
  readonly patch: JsonObject
}

/** What `buildSnapshot` makes a snapshot of. */
export interface SnapshotParts extends Next {
  /** In any order. */
  readonly state: readonly StateEntry[]
  /** Ids of the parts that follow, in the order in which they apply. */
  readonly parts: readonly RecordId[]
}

/** What `buildPart` makes a part of. */
export interface PartParts extends Common {
  /** That of the snapshot that names it: 1 + the greatest counter in the snapshot's `prev`. */
  readonly counter: number
  /** In any order. */
  readonly state: readonly StateEntry[]
}

/**
 * Builds a patch on the tips that its author has seen, ready to be signed. The body shares nothing with the arguments.
 *
 * @throws RecordError with the code of the first rule that the patch breaks
 */
export function buildPatch(from: PatchParts): PatchBody {
  const { identity, patch, platform } = from
  return checked({ ...next(from), identity, patch, platform, type: 'patch' })
}

/**
 * Builds a snapshot that replaces everything that its author has seen.
 *
 * @throws RecordError with the code of the first rule that the snapshot breaks
 */
export function buildSnapshot(from: SnapshotParts): SnapshotBody {
  return checked({ ...next(from), parts: from.parts, state: sorted(from.state), type: 'snapshot' })
}

/**
 * Builds one part of a snapshot that is too large for one record. Parts are built and signed before the snapshot names them.
 *
 * @throws RecordError with the code of the first rule that the part breaks
 */
export function buildPart(from: PartParts): PartBody {
  return checked({ ...common(from), counter: from.counter, state: sorted(from.state), type: 'part' })
}

function common(from: Common) {
  return {
    avatar: from.avatar,
    created_at: from.createdAt,
    network: from.network,
    uuid: from.uuid,
    version: '2' as const,
  }
}

function next(from: Next) {
  const prev = from.prev
    .map(({ counter, id }) => ({ counter, id }))
    .sort(compareCitations)
    .slice(-MAX_PREV)
  return { ...common(from), counter: (prev.at(-1)?.counter ?? 0) + 1, prev }
}

function sorted(state: readonly StateEntry[]): StateEntry[] {
  return state.map(({ content, identity, platform }) => ({ content, identity, platform })).sort(compareNamespaces)
}

/** Returns the body as every node will read it. Errors appear here rather than after signing. */
function checked<Body extends RecordBody>(body: Body): Body {
  return decodePayload(encodePayload(body), body.network) as Body
}
