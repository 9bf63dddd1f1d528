import { CodedError } from '../platform/errors.ts'

/** `too_many_requests`: a rate limit. `busy`: the node cannot answer now. `bad_message`: a peer broke the rules of the protocol. */
export type FindErrorCode = 'too_many_requests' | 'busy' | 'bad_message'

export class FindError extends CodedError<FindErrorCode> {
  override readonly name = 'FindError'
  /** Seconds after which a retry can succeed. */
  readonly retryS: number

  constructor(code: FindErrorCode, message: string, retryS = 1) {
    super(code, message)
    this.retryS = retryS
  }
}
