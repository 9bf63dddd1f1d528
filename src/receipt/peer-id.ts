import { ReceiptError } from './errors.ts'

/** The alphabet of base58btc, the encoding of peer ids. */
const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

/**
 * The bytes before the Ed25519 public key in a peer id: a multihash with the code "identity" (0) over 36 bytes, the protobuf
 * message PublicKey {Type 1 = 1 (Ed25519), Data 2 = 32 bytes} (libp2p specification of peer ids, "Keys").
 */
const PREFIX = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20)
const KEY_BYTES = 32

/** Characters of such a peer id. All have the same length, because they start with the same bytes. */
const PEER_ID_LENGTH = 52

/**
 * Returns the Ed25519 public key (32 bytes) in a peer id.
 *
 * @param peerId in base58btc, `12D3KooW…`
 * @throws ReceiptError `invalid_peer_id`
 */
export function publicKeyOfPeerId(peerId: string): Uint8Array {
  const bytes = peerId.length === PEER_ID_LENGTH ? base58Bytes(peerId, PREFIX.length + KEY_BYTES) : undefined
  if (bytes === undefined || PREFIX.some((each, at) => bytes[at] !== each)) {
    throw new ReceiptError(
      'invalid_peer_id',
      'The peer id does not contain an Ed25519 key. Such a peer id starts with 12D3KooW.',
    )
  }
  return bytes.subarray(PREFIX.length)
}

/** Decodes exactly `length` bytes; undefined if the text is not base58 or has another length. */
function base58Bytes(text: string, length: number): Uint8Array | undefined {
  const bytes = new Uint8Array(length)
  for (const character of text) {
    let carry = ALPHABET.indexOf(character)
    if (carry < 0) return undefined
    for (let at = length - 1; at >= 0; at--) {
      carry += (bytes[at] ?? 0) * 58
      bytes[at] = carry & 0xff
      carry >>>= 8
    }
    if (carry !== 0) return undefined
  }
  // Each leading 1 stands for a leading zero byte, so another number of them means another number of bytes.
  const ones = /^1*/.exec(text)?.[0].length
  const zeros = bytes.findIndex((each) => each !== 0)
  return ones === zeros ? bytes : undefined
}
