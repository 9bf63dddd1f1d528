import { CodedError } from '../platform/errors.ts'

/** `bad_message`: the peer broke the rules. `too_slow`: it took nothing for too long. `full`: it has its share, or all is taken. */
export type FollowErrorCode = 'bad_message' | 'too_slow' | 'full'

export class FollowError extends CodedError<FollowErrorCode> {
  override readonly name = 'FollowError'
}
