import { CodedError } from '../platform/errors.ts'

/** The queue is full, and nothing of the submission was accepted. */
export class IngestBusyError extends CodedError<'busy'> {
  override readonly name = 'IngestBusyError'
  /** Seconds to wait before the next attempt. */
  readonly retryAfterSeconds: number

  constructor(retryAfterSeconds: number) {
    super('busy', `This node has more records waiting than it can take now; try again in ${retryAfterSeconds} s.`)
    this.retryAfterSeconds = retryAfterSeconds
  }
}
