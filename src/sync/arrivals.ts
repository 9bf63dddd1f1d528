import { recordDigest } from '../record/id.ts'
import type { Avatar, SignedRecord } from '../record/types.ts'
import { SyncError } from './errors.ts'
import { payloadHead } from '../record/payload-head.ts'
import { createRecordReader } from './record-reader.ts'
import type { SessionParts } from './session.ts'

export interface Arrival {
  readonly id: Uint8Array
  readonly record: SignedRecord
  /** Whether this node already has the record; then it need not be verified. */
  readonly isHeld: boolean
}

/**
 * Computes the ids of the records in a frame.
 *
 * @param scope the avatars that the records may belong to; null for any
 * @throws SyncError `invalid_record`, `out_of_scope`
 */
export async function checkArrivals(
  { source, keccak256 }: Pick<SessionParts, 'source' | 'keccak256'>,
  records: readonly SignedRecord[],
  scope: ReadonlySet<Avatar> | null,
): Promise<Arrival[]> {
  if (scope !== null) for (const record of records) checkScope(record, scope)
  const ids = records.map(({ payload }) => recordDigest(payload, keccak256))
  const held = await source.held(ids)
  return records.flatMap((record, at) => {
    const id = ids[at]
    return id === undefined ? [] : [{ id, record, isHeld: held[at] === true }]
  })
}

function checkScope({ payload }: SignedRecord, scope: ReadonlySet<Avatar>): void {
  const head = payloadHead(payload)
  if (head === undefined) throw new SyncError('invalid_record', 'The peer sent bytes that are not a payload.')
  if (!scope.has(head.avatar)) throw new SyncError('out_of_scope', `The peer sent a record of ${head.avatar}, unasked.`)
}

/** The ids among some that this node holds and that are superseded. */
export async function supersededOf(
  parts: Pick<SessionParts, 'source' | 'keccak256'>,
  held: readonly Uint8Array[],
): Promise<readonly Uint8Array[]> {
  const reader = createRecordReader(parts, [...held])
  while ((await reader.next()).length > 0);
  return reader.missing
}
