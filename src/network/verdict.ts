import type { Ingest, IngestResult } from '../ingest/types.ts'
import type { GossipVerdict } from '../observe/types.ts'
import { decodeBatch } from '../record/codec.ts'
import { RecordError } from '../record/errors.ts'
import { MAX_BATCH_BYTES } from '../record/limits.ts'
import type { SignedRecord } from '../record/types.ts'
import type { Source } from '../shares/types.ts'

export interface Judgement {
  readonly verdict: GossipVerdict
  /** Why, in a word or a code, for the log. */
  readonly reason: string
  /** Records of the message that were new to this node. */
  readonly records: number
}

/**
 * Judges one gossip message and passes its records to ingest (docs/protocol.md, "Gossip"): *reject* a message that is not a
 * batch of 1 byte to 1 MiB, or that has an invalid record (then none of its records is stored); *accept* a message with a new
 * record that was stored; otherwise *ignore*.
 *
 * @param source the host of the sender
 * @throws every error of ingest, `IngestBusyError` included; the caller then ignores the message
 */
export async function judgeMessage(ingest: Ingest, data: Uint8Array, source: Source): Promise<Judgement> {
  if (data.byteLength === 0) return { verdict: 'reject', reason: 'empty', records: 0 }
  if (data.byteLength > MAX_BATCH_BYTES) return { verdict: 'reject', reason: 'too_large', records: 0 }
  let records: SignedRecord[]
  try {
    records = decodeBatch(data)
  } catch (error) {
    if (error instanceof RecordError) return { verdict: 'reject', reason: error.code, records: 0 }
    throw error
  }
  if (records.length === 0) return { verdict: 'ignore', reason: 'no_records', records: 0 }
  return judgeResults(await ingest.submit(records, { origin: 'gossip', source, atomic: true }))
}

function judgeResults(results: readonly IngestResult[]): Judgement {
  const invalid = results.find((result) => result.status === 'invalid')
  if (invalid !== undefined) return { verdict: 'reject', reason: invalid.code ?? 'invalid', records: 0 }
  const records = results.filter(({ status }) => status === 'stored' || status === 'pending').length
  if (records > 0) return { verdict: 'accept', reason: 'new', records }
  const refused = results.find((result) => result.status === 'refused')
  return { verdict: 'ignore', reason: refused?.code ?? 'nothing_new', records: 0 }
}
