import { CodedError } from '../platform/errors.ts'

/** `invalid_receipt`: a member is missing or malformed. `invalid_peer_id`: the peer id does not contain an Ed25519 key. */
export type ReceiptErrorCode = 'invalid_receipt' | 'invalid_peer_id'

/** Why a value is not a receipt; the message names the member. */
export class ReceiptError extends CodedError<ReceiptErrorCode> {
  override readonly name = 'ReceiptError'
}
