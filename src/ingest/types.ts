import type { RecordId, SignedRecord } from '../record/types.ts'
import type { Source } from '../shares/types.ts'

export type Origin = 'http' | 'gossip' | 'follow' | 'sync' | 'import'

/** The result for one record (docs/protocol.md, `POST /v2/records`). */
export interface IngestResult {
  /** Null if the payload is so broken that it has no id, or if the record was refused before it was read. */
  readonly id: RecordId | null
  readonly status: 'stored' | 'pending' | 'duplicate' | 'superseded' | 'refused' | 'invalid'
  /** From a closed set; present for `refused` and `invalid`. */
  readonly code?: string
  /** For people: what is wrong and what to do. */
  readonly message?: string
  /** Present for `refused`: whether sending it again later can succeed. */
  readonly retry?: boolean
}

export interface Ingest {
  /**
   * Submits records. Resolves when every accepted record is on disk (fsync), with one result for each record, in order.
   *
   * @param records payload bytes, and 64-byte signatures (65 with v are taken where `origin` is `http` or `import`)
   * @param options.source the host that sends them: hosts take turns, and each has a share of the queue. Default: all
   *   submissions of one origin count as one host
   * @param options.atomic if any record is invalid, none of the others is appended (they get `refused`, code `batch_invalid`)
   * @throws IngestBusyError (ingest/errors.ts) if the queue, or the share of this host, is full: nothing was taken, try again later
   */
  submit(
    records: readonly SignedRecord[],
    options: { readonly origin: Origin; readonly source?: Source; readonly atomic?: boolean },
  ): Promise<IngestResult[]>
}
