/** The queue is full, and nothing of the submission was accepted. */
export class IngestBusyError extends Error {
  override readonly name = 'IngestBusyError'
  readonly code = 'busy'
  /** Seconds to wait before the next attempt. */
  readonly retryAfterSeconds: number

  constructor(retryAfterSeconds: number) {
    super(`This node has more records waiting than it can take now; try again in ${retryAfterSeconds} s.`)
    this.retryAfterSeconds = retryAfterSeconds
  }
}
