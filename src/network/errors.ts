export type NetworkErrorCode =
  | 'invalid_address'
  | 'invalid_network'
  | 'listen_failed'
  | 'peer_key_invalid'
  | 'peer_key_unreadable'

/** What keeps the network part from starting; the message says what to do. */
export class NetworkError extends Error {
  override readonly name = 'NetworkError'
  readonly code: NetworkErrorCode

  constructor(code: NetworkErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
