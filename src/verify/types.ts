import type { EngineName } from '../record/engine.ts'
import type { RecordError } from '../record/errors.ts'
import type { SignedRecord, VerifiedRecord } from '../record/types.ts'
import type { VerifyOptions } from '../record/verify.ts'

/** Verifies records for one network: a few at once where it is called, many in worker threads. */
export interface VerifyService {
  /** The engine in use, for logs and `GET /v2/status`. */
  readonly engine: EngineName
  /**
   * Verifies records. Their bytes must not change until it resolves. It does not bound what waits; its caller does.
   *
   * @returns one result a record, in order
   * @throws VerifyError `closed` after `close`
   */
  verify(records: readonly SignedRecord[], options: VerifyOptions): Promise<(VerifiedRecord | RecordError)[]>
  /** Answers what was asked, then ends the workers. */
  close(): Promise<void>
}
