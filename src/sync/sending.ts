import { concatBytes } from '@noble/hashes/utils.js'

import type { Bound } from '../negentropy/types.ts'
import type { Channel } from './channel.ts'
import { SyncError } from './errors.ts'
import { idKey } from './ids.ts'
import { BULK_FRAME_RECORDS, RECORDS_FRAME_BYTES } from './limits.ts'
import { createRecordReader } from './record-reader.ts'
import type { SessionParts } from './session.ts'

/** Sends the records that the peer asked for, and says which ones are not held. @throws SyncError `malformed_frame` */
export async function sendRequested(parts: SessionParts, channel: Channel, ids: readonly Uint8Array[]): Promise<void> {
  if (new Set(ids.map(idKey)).size !== ids.length) {
    throw new SyncError('malformed_frame', 'A request names an id twice.')
  }
  const { progress } = parts
  const reader = createRecordReader(parts, [...ids])
  for (let frame = await reader.next(); frame.length > 0; frame = await reader.next()) {
    await channel.send({ kind: 'records', records: frame.map(({ record }) => record) })
    progress.recordsOut += frame.length
    progress.done += frame.length
  }
  await channel.send({ kind: 'delivered', missing: concatBytes(...reader.missing) })
}

/** Sends all records from a bound on. */
export async function sendBulk(parts: SessionParts, channel: Channel, from: Bound): Promise<void> {
  const { source, progress } = parts
  const limits = { records: BULK_FRAME_RECORDS, bytes: RECORDS_FRAME_BYTES }
  let next: Bound | null = from
  let sent: Promise<void> = Promise.resolve()
  while (next !== null) {
    // Read the next frame while the last one is being sent.
    const [part]: [Awaited<ReturnType<typeof source.from>>, void] = await Promise.all([source.from(next, limits), sent])
    if (part.records.length === 0) break
    next = part.next
    progress.recordsOut += part.records.length
    progress.done += part.records.length
    sent = channel.send({ kind: 'records', records: part.records })
    sent.catch(() => {})
  }
  await sent
  await channel.send({ kind: 'delivered', missing: new Uint8Array(0) })
}
