import { CodedError, messageOf } from '../platform/errors.ts'

/**
 * Why a session ended early.
 *
 * - `malformed_frame`, `frame_too_large`, `unexpected_frame`: the peer breaks the protocol (frame-decoder.ts).
 * - `negentropy`: its reconciliation messages are malformed or exceed a bound.
 * - `invalid_record`, `unasked_record`, `out_of_scope`: it sent a record that no honest node sends, or that was not asked for.
 * - `withheld`: it repeatedly claims records that it does not deliver.
 * - `stalled`: it did not answer in time. `out_of_time`: the session took longer than allowed.
 * - `refused`: it refused the session; `refusal` says why.
 * - `useless_bulk`: a bulk stream had only records that this node holds.
 * - `elsewhere`: this node is bootstrapping from another peer.
 * - `broken`: the stream ended or broke. `stopped`: this node is stopping.
 * - `busy`, `failed`: this node cannot accept records now, or failed itself.
 */
export type SyncErrorCode =
  | 'malformed_frame'
  | 'frame_too_large'
  | 'unexpected_frame'
  | 'negentropy'
  | 'invalid_record'
  | 'unasked_record'
  | 'out_of_scope'
  | 'withheld'
  | 'stalled'
  | 'out_of_time'
  | 'refused'
  | 'useless_bulk'
  | 'elsewhere'
  | 'broken'
  | 'stopped'
  | 'busy'
  | 'failed'

/** Why a peer refuses or ends a session (sync.proto, `Refusal.Code`). */
export type RefusalCode = 'wrong_network' | 'unsupported_version' | 'busy' | 'full' | 'reversed' | 'stopping' | 'scope'

/** Codes of errors that no honest peer causes. */
export const PEERS_FAULT: ReadonlySet<SyncErrorCode> = new Set([
  'malformed_frame',
  'frame_too_large',
  'unexpected_frame',
  'negentropy',
  'invalid_record',
  'unasked_record',
  'out_of_scope',
  'stalled',
])

export interface SyncErrorOptions extends ErrorOptions {
  readonly refusal?: RefusalCode
  /** Whether the peer caused the error, if the code alone does not say. */
  readonly blame?: boolean
}

export class SyncError extends CodedError<SyncErrorCode> {
  override readonly name = 'SyncError'
  /** Set if the code is `refused`. */
  readonly refusal: RefusalCode | undefined
  /** Whether the transport must hear of it as an offence of the peer. */
  readonly blame: boolean

  constructor(code: SyncErrorCode, message: string, options: SyncErrorOptions = {}) {
    super(code, message, options)
    this.refusal = options.refusal
    this.blame = options.blame ?? PEERS_FAULT.has(code)
  }
}

/** Any error as a `SyncError`. An error of another class is this node's own failure. */
export function asSyncError(error: unknown): SyncError {
  if (error instanceof SyncError) return error
  const message = messageOf(error)
  return new SyncError('failed', message, { cause: error })
}
