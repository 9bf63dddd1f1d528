/** `invalid_receipt`: not of a receipt's shape. `invalid_peer_id`: a peer id that names no Ed25519 key. */
export type ReceiptErrorCode = 'invalid_receipt' | 'invalid_peer_id'

/** Why something is no receipt; the message names the member. */
export class ReceiptError extends Error {
  override readonly name = 'ReceiptError'
  readonly code: ReceiptErrorCode

  constructor(code: ReceiptErrorCode, message: string) {
    super(message)
    this.code = code
  }
}
