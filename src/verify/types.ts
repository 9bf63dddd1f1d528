import type { EngineName } from '../record/engine.ts'
import type { RecordError } from '../record/errors.ts'
import type { SignedRecord, VerifiedRecord } from '../record/types.ts'
import type { VerifyOptions } from '../record/verify.ts'

/** Verifies records of one network: a few at once on the calling thread, many in worker threads. */
export interface VerifyService {
  /** The engine in use, for logs and `GET /v2/status`. */
  readonly engine: EngineName
  /**
   * Starts the workers: 70 ms of CPU and 13 MiB each. For a caller that expects many records soon. Without this call, the
   * workers start with the first records.
   */
  prepare(): void
  /**
   * Verifies records. Their bytes must not change until it resolves. The caller bounds how many records wait.
   *
   * @returns one result for each record, in order
   * @throws VerifyError `closed` after `close`
   */
  verify(records: readonly SignedRecord[], options: VerifyOptions): Promise<(VerifiedRecord | RecordError)[]>
  /** Finishes the records that were submitted, then ends the workers. */
  close(): Promise<void>
}
