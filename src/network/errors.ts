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
export class NetworkError extends Error {
  override readonly name = 'NetworkError'
  readonly code: NetworkErrorCode

  constructor(code: NetworkErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
