import { CodedError } from '../platform/errors.ts'

/**
 * - `truncated`, `bad_varint`, `bad_bound`, `bad_mode`, `bad_id_list`: the message is malformed.
 * - `unsupported_version`: the other side speaks another version of the protocol.
 * - `message_too_large`, `too_many_rounds`, `no_progress`, `too_many_ids`: the other side exceeded a limit of this side.
 * - `wrong_call`: a method was called in the wrong state of the session.
 * - `invalid_option`, `invalid_item`: an argument of this side is invalid.
 */
export type NegentropyErrorCode =
  | 'truncated'
  | 'bad_varint'
  | 'bad_bound'
  | 'bad_mode'
  | 'bad_id_list'
  | 'unsupported_version'
  | 'message_too_large'
  | 'too_many_rounds'
  | 'no_progress'
  | 'too_many_ids'
  | 'wrong_call'
  | 'invalid_option'
  | 'invalid_item'

/** A reconciliation cannot continue. `message` explains the reason. */
export class NegentropyError extends CodedError<NegentropyErrorCode> {
  override readonly name = 'NegentropyError'
}
