import { messageOf } from '../platform/errors.ts'
/**
 * Why a session ended early.
 *
 * - `malformed_frame`, `frame_too_large`, `unexpected_frame`: the peer does not speak the protocol (frames.ts).
 * - `negentropy`: its reconciliation is malformed or passes a bound.
 * - `invalid_record`, `unasked_record`, `out_of_scope`: it sent a record that no honest node sends, or that was not asked for.
 * - `withheld`: again and again it claims records that it does not deliver.
 * - `stalled`: it was waited for in vain. `out_of_time`: the session took longer than one may.
 * - `refused`: it does not want this session; `refusal` says why.
 * - `useless_bulk`: a bulk stream of records that are all held.
 * - `elsewhere`: this node bootstraps from another peer just now.
 * - `broken`: the stream ended or broke. `stopped`: this node stops.
 * - `busy`, `failed`: this node cannot take records now, or failed itself.
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

/** What no honest peer does. */
const PEERS_FAULT: ReadonlySet<SyncErrorCode> = new Set([
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
  /** Whether the peer is to blame, where the code alone does not tell. */
  readonly blame?: boolean
}

export class SyncError extends Error {
  override readonly name = 'SyncError'
  readonly code: SyncErrorCode
  /** Set where the code is `refused`. */
  readonly refusal: RefusalCode | undefined
  /** Whether the peer is to be told of to the transport. */
  readonly blame: boolean

  constructor(code: SyncErrorCode, message: string, options: SyncErrorOptions = {}) {
    super(message, options)
    this.code = code
    this.refusal = options.refusal
    this.blame = options.blame ?? PEERS_FAULT.has(code)
  }
}

/** Any error as a `SyncError`: what is not one is this node's own failure. */
export function asSyncError(error: unknown): SyncError {
  if (error instanceof SyncError) return error
  const message = messageOf(error)
  return new SyncError('failed', message, { cause: error })
}
