import { CodedError } from '../platform/errors.ts'

export type NetworkErrorCode =
  | 'frame_invalid'
  | 'invalid_address'
  | 'invalid_network'
  | 'listen_failed'
  | 'not_connected'
  | 'peer_key_invalid'
  | 'peer_key_unreadable'
  | 'stream_broken'

/** What keeps the network part from starting, with what to do; or a stream to a peer from being used. */
export class NetworkError extends CodedError<NetworkErrorCode> {
  override readonly name = 'NetworkError'
}
