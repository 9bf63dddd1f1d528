import { ReceiptError } from './errors.ts'

/** base58btc (the alphabet of Bitcoin), in which peer ids are written. */
const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

/**
 * What comes before an Ed25519 public key in its peer id: a multihash of the code "identity" (0) over 36 bytes, which are
 * the protobuf message PublicKey {Type 1 = 1 (Ed25519), Data 2 = 32 bytes} (libp2p specification of peer ids, "Keys").
 */
const PREFIX = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20)
const KEY_BYTES = 32

/** Every such peer id has the same length: its first byte is 0, and the others make a number of a known size. */
const PEER_ID_LENGTH = 52

/**
 * The Ed25519 public key (32 bytes) that a peer id is made of.
 *
 * @param peerId in base58btc, `12D3KooW…`
 * @throws ReceiptError `invalid_peer_id`
 */
export function publicKeyOfPeerId(peerId: string): Uint8Array {
  const bytes = peerId.length === PEER_ID_LENGTH ? base58Bytes(peerId, PREFIX.length + KEY_BYTES) : undefined
  if (bytes === undefined || PREFIX.some((each, at) => bytes[at] !== each)) {
    throw new ReceiptError('invalid_peer_id', 'The peer id is not that of an Ed25519 key, 12D3KooW….')
  }
  return bytes.subarray(PREFIX.length)
}

/** Exactly `length` bytes, the first of them 0; undefined where the text says something else. */
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
  // A leading 1 stands for a leading zero byte; a text with more or fewer of them is another number of bytes.
  const ones = /^1*/.exec(text)?.[0].length
  const zeros = bytes.findIndex((each) => each !== 0)
  return ones === zeros ? bytes : undefined
}
