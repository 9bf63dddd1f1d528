import { buildPatch, type PatchParts } from '../record/build.ts'
import { RecordError } from '../record/errors.ts'
import { MAX_MEMBERS, MAX_PAYLOAD_BYTES, MAX_PREV } from '../record/limits.ts'
import type { Citation, JsonObject, JsonValue, RecordId } from '../record/types.ts'
import { contentFaults, FAULT_TEXTS, pathText } from '../snapshot/faults.ts'
import { Measure } from '../snapshot/measure.ts'
import { entryOverhead, splitState } from '../snapshot/split.ts'
import { ClientError } from './errors.ts'
import { MAX_PIECES } from './limits.ts'

/** A citation as long as one can be: pieces must fit whatever they cite. */
const LONGEST: Citation = { counter: Number.MAX_SAFE_INTEGER - 1, id: `0x${'f'.repeat(64)}` }

export type Target = Pick<PatchParts, 'avatar' | 'network' | 'platform' | 'identity'>

/**
 * Divides a merge patch into patches that each fit into a record, and that do the same when they are applied one after the
 * other: no two write to one path, and an object that is laid over in pieces ends as if it were laid over whole.
 *
 * @param patch plain JSON
 * @returns the patch itself where it fits
 * @throws ClientError `invalid_change`, `too_large`
 */
export function splitPatch(target: Target, patch: JsonObject): JsonObject[] {
  const measure = new Measure()
  const room = roomFor(target, measure)
  for (const fault of contentFaults(patch, room, measure)) {
    if (fault.code === 'null_member') continue
    const code = fault.code === 'value_too_large' ? 'too_large' : 'invalid_change'
    const path = pathText(fault.path)
    throw new ClientError(code, `${path} ${FAULT_TEXTS[fault.code]}.`, { path })
  }
  const size = measure.of(patch)
  if (size.bytes - 2 <= room.bytes && size.members <= room.members) return [patch]

  const name = { platform: target.platform, identity: target.identity }
  const overhead = entryOverhead(name)
  const entryRoom = { bytes: room.bytes + overhead.bytes, members: room.members + overhead.members }
  const states = splitState([{ content: patch, ...name }], entryRoom, measure, MAX_PIECES)
  if (states === undefined) {
    throw new ClientError('too_large', `This is more than ${MAX_PIECES} records can hold: write it bit by bit.`)
  }
  return states.flat().map(({ content }) => content)
}

/** What the members of a patch may take in a payload, braces aside. */
function roomFor(target: Target, measure: Measure): { bytes: number; members: number } {
  const uuid = '00000000-0000-4000-8000-000000000000'
  const prev = Array.from({ length: MAX_PREV }, (_, at): Citation => ({ ...LONGEST, id: idAt(at) }))
  const parts = { ...target, patch: {}, createdAt: Number.MAX_SAFE_INTEGER, uuid, prev }
  try {
    const { bytes, members } = measure.of(JSON.parse(JSON.stringify(buildPatch(parts))) as JsonValue)
    return { bytes: MAX_PAYLOAD_BYTES - bytes, members: MAX_MEMBERS - members }
  } catch (error) {
    if (error instanceof RecordError) throw invalidChange(error)
    throw error
  }
}

export function invalidChange(error: RecordError): ClientError {
  return new ClientError('invalid_change', `This cannot be written: ${error.message}`, {
    nodeCode: error.code,
    cause: error,
  })
}

function idAt(index: number): RecordId {
  return `0x${index.toString(16).padStart(64, 'f')}`
}
