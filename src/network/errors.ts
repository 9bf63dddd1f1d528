import { CodedError } from '../platform/errors.ts'

export type NetworkErrorCode =
  | 'frame_invalid'
  | 'invalid_address'
  | 'invalid_network'
  | 'listen_failed'
  | 'not_connected'
  | 'peer_key_invalid'
  | 'peer_key_unreadable'
  | 'peer_record_invalid'
  | 'router_refused'
  | 'seed_unusable'
  | 'stream_broken'

/** Why the network part cannot start, and what to do; or why a stream to a peer cannot be used. */
export class NetworkError extends CodedError<NetworkErrorCode> {
  override readonly name = 'NetworkError'
}
