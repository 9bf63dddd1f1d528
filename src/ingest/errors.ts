/** The queue is full; nothing of the submission was taken. */
export class IngestBusyError extends Error {
  override readonly name = 'IngestBusyError'
  readonly code = 'busy'
  /** A fair time to wait before trying again, in seconds. */
  readonly retryAfterSeconds: number

  constructor(retryAfterSeconds: number) {
    super(`This node has more records waiting than it can take now; try again in ${retryAfterSeconds} s.`)
    this.retryAfterSeconds = retryAfterSeconds
  }
}
