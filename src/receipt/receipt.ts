/** Receipts: signed statements of a node about its state of an avatar at a time (docs/protocol.md, "Receipts"). */
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js'
import { canonicalText } from '../record/canonical.ts'
import type { Avatar, RecordId } from '../record/types.ts'
import { verifyEd25519 } from './ed25519.ts'
import { ReceiptError } from './errors.ts'
import { publicKeyOfPeerId } from './peer-id.ts'

/** Prefix of the signed bytes, so that no other signature of the key can pass as one over a receipt. */
const DOMAIN = 'avatar-kv-receipt/2\n'

/** The statement of a receipt. */
export interface ReceiptFields {
  readonly avatar: Avatar
  /** Digest of the avatar's state: 64 hex digits, without `0x`. */
  readonly digest: string
  readonly head: number
  /** Id of the greatest visible record, by (counter, id); null if nothing is visible, and then `head` is 0. */
  readonly id: RecordId | null
  readonly network: string
  /** The peer id of the node that signs, in base58btc, `12D3KooW…`. */
  readonly peer_id: string
  /** Number of live records, pending ones and parts included. */
  readonly records: number
  /** Unix seconds by the node's clock. */
  readonly time: number
}

/** A statement with the node's signature. */
export interface Receipt extends ReceiptFields {
  /** Ed25519: `0x` + 128 hex digits. */
  readonly signature: `0x${string}`
}

/** The part of the node's key that receipts use; a libp2p private key fits. */
export interface ReceiptSigner {
  sign(data: Uint8Array): Uint8Array | Promise<Uint8Array>
}

/** Signs a receipt. @param privateKey the Ed25519 key of `fields.peer_id` */
export async function signReceipt(fields: ReceiptFields, privateKey: ReceiptSigner): Promise<Receipt> {
  const signature = await privateKey.sign(signedBytes(fields))
  const { avatar, network, head, id, records, digest, time, peer_id } = fields
  return { avatar, network, head, id, records, digest, time, peer_id, signature: `0x${bytesToHex(signature)}` }
}

/** Whether the key in `peer_id` signed the receipt. Needs no network. */
export function verifyReceipt(receipt: Receipt): boolean {
  try {
    const key = publicKeyOfPeerId(receipt.peer_id)
    return verifyEd25519(hexToBytes(receipt.signature.slice(2)), signedBytes(receipt), key)
  } catch {
    return false
  }
}

/**
 * Checks the form of a receipt that was parsed from JSON and drops unknown members. Does not check the signature; see
 * `verifyReceipt`.
 *
 * @throws ReceiptError `invalid_receipt`, `invalid_peer_id`
 */
export function parseReceipt(value: unknown): Receipt {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong('it', 'a JSON object')
  const { avatar, network, head, id, records, digest, time, peer_id, signature } = value as Record<string, unknown>
  const receipt = {
    avatar: matching(avatar, 'avatar', AVATAR, 'an avatar, 0x and 66 hex digits') as Avatar,
    network: matching(network, 'network', NETWORK, 'the name of a network'),
    head: count(head, 'head'),
    id: id === null ? null : (matching(id, 'id', ID, '0x and 64 hex digits, or null') as RecordId),
    records: count(records, 'records'),
    digest: matching(digest, 'digest', DIGEST, '64 hex digits'),
    time: count(time, 'time'),
    peer_id: matching(peer_id, 'peer_id', PEER_ID, 'a peer id, 12D3KooW…'),
    signature: matching(signature, 'signature', SIGNATURE, '0x and 128 hex digits') as `0x${string}`,
  }
  if ((receipt.head === 0) !== (receipt.id === null)) throw wrong('id', 'null where head is 0, and only there')
  publicKeyOfPeerId(receipt.peer_id)
  return receipt
}

const AVATAR = /^0x0[23][0-9a-f]{64}$/
const NETWORK = /^[a-z0-9-]{1,32}$/
const ID = /^0x[0-9a-f]{64}$/
const DIGEST = /^[0-9a-f]{64}$/
const PEER_ID = /^[1-9A-HJ-NP-Za-km-z]{1,64}$/
const SIGNATURE = /^0x[0-9a-f]{128}$/

function matching(value: unknown, name: string, pattern: RegExp, expected: string): string {
  if (typeof value !== 'string' || !pattern.test(value)) throw wrong(name, expected)
  return value
}

function count(value: unknown, name: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || Object.is(value, -0)) {
    throw wrong(name, 'a whole number from 0')
  }
  return value
}

function wrong(name: string, expected: string): ReceiptError {
  return new ReceiptError('invalid_receipt', `The receipt is invalid: ${name} must be ${expected}.`)
}

function signedBytes({ avatar, digest, head, id, network, peer_id, records, time }: ReceiptFields): Uint8Array {
  return new TextEncoder().encode(DOMAIN + canonicalText({ avatar, digest, head, id, network, peer_id, records, time }))
}
