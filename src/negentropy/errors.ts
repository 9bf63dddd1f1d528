/**
 * - `truncated`, `bad_varint`, `bad_bound`, `bad_mode`, `bad_id_list`: the message is not of the protocol.
 * - `unsupported_version`: the other side speaks no version that this one does.
 * - `message_too_large`, `too_many_rounds`, `no_progress`, `too_many_ids`: the other side passed a bound of this one.
 * - `wrong_call`: a method was called at a moment that is not its own.
 * - `invalid_option`, `invalid_item`: what this side was made of is wrong.
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

/** Why a reconciliation cannot go on. `message` says it, and what to do, to people. */
export class NegentropyError extends Error {
  override readonly name = 'NegentropyError'
  readonly code: NegentropyErrorCode

  constructor(code: NegentropyErrorCode, message: string) {
    super(message)
    this.code = code
  }
}
