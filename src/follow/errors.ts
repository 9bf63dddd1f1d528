import { CodedError } from '../platform/errors.ts'

/**
 * `bad_message`: the peer broke the rules. `too_slow`: the peer took nothing for too long. `full`: the peer has its share, or all is
 * taken. `withheld`: the peer did not send what it has.
 */
export type FollowErrorCode = 'bad_message' | 'too_slow' | 'full' | 'withheld'

export class FollowError extends CodedError<FollowErrorCode> {
  override readonly name = 'FollowError'
}
