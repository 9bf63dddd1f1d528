/**
 * What an owner asks a node for: to be taken in, or to be let go (docs/protocol.md, "Asking to be hosted"). Signed as records
 * are, but never one of them: its `type` is none that a record may have, and a record is no statement.
 */
import { canonicalText } from '../record/canonical.ts'
import { sign } from '../record/curve.ts'
import type { SignatureEngine } from '../record/engine.ts'
import { recordDigest } from '../record/id.ts'
import { avatarBytes } from '../record/keys.ts'
import { splitSignature } from '../record/signature.ts'
import type { Avatar } from '../record/types.ts'
import { HostingError } from './errors.ts'

export interface HostingStatement {
  readonly action: 'host' | 'leave'
  readonly avatar: Avatar
  /** Unix seconds. */
  readonly created_at: number
  /** With `host`: URL of the node where the avatar lives now, to be asked for its records. */
  readonly from?: string
  /** With `host`: a code of the operator's. */
  readonly invite?: string
  readonly network: string
  /** The node that is asked. */
  readonly peer_id: string
  readonly type: 'hosting'
  readonly version: '2'
}

/** A URL of 256 characters and all other members take half of it. */
const MAX_STATEMENT_BYTES = 1_024
const MAX_URL_CHARACTERS = 256
const MAX_INVITE_CHARACTERS = 64

const AVATAR = /^0x0[23][0-9a-f]{64}$/
const NETWORK = /^[a-z0-9-]{1,32}$/
/** Peer ids as base58btc or as a CID (libp2p peer id specification, "String representation"). */
const PEER_ID = /^[A-Za-z0-9]{1,128}$/
/** Printable ASCII, for what else an address has is percent-encoded; no query and no fragment. */
const URL_TEXT = /^https?:\/\/[\x21-\x22\x24-\x3e\x40-\x7e]+$/
const INVITE = /^[A-Za-z0-9-]+$/

/** The text that is signed: canonical JSON (RFC 8785). */
export function statementText(statement: HostingStatement): string {
  return canonicalText(statement)
}

/**
 * Reads a statement and checks that it is its avatar's.
 *
 * @param text as it was signed
 * @param signature 64 bytes r ‖ s, or 65 with v
 * @throws HostingError `invalid_statement`; RecordError `invalid_signature`, `high_s`, `wrong_recovery`
 */
export function verifyStatement(
  engine: Pick<SignatureEngine, 'verify' | 'recover' | 'keccak256'>,
  text: string,
  signature: Uint8Array,
): HostingStatement {
  const bytes = new TextEncoder().encode(text)
  if (bytes.length > MAX_STATEMENT_BYTES) throw invalid(`it may take ${MAX_STATEMENT_BYTES} bytes`)
  const statement = parse(text)
  const { compact, recoveryId } = splitSignature(signature, true)
  const digest = recordDigest(bytes, (each) => engine.keccak256(each))
  const key = avatarBytes(statement.avatar)
  const recovered = recoveryId === null ? null : engine.recover(compact, recoveryId, digest)
  const isWrongV = recoveryId !== null && (recovered === null || Buffer.compare(recovered, key) !== 0)
  if (isWrongV || !engine.verify(compact, digest, key)) {
    throw invalid("the signature is not the avatar's over this text: sign its exact bytes")
  }
  return statement
}

function parse(text: string): HostingStatement {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw invalid('it is not JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('it is not a JSON object')
  const { action, avatar, created_at, from, invite, network, peer_id, type, version, ...rest } = value as Record<
    string,
    unknown
  >
  const isHost = action === 'host'
  const checks: readonly (readonly [string, boolean])[] = [
    ['type must be "hosting"', type === 'hosting'],
    ['version must be "2"', version === '2'],
    ['action must be "host" or "leave"', isHost || action === 'leave'],
    ['avatar must be 0x and 66 lower-case hex digits', isText(avatar, AVATAR, 68)],
    ['created_at must be an integer, Unix seconds', Number.isSafeInteger(created_at) && Number(created_at) >= 0],
    ['network is no name of a network', isText(network, NETWORK, 32)],
    ['peer_id is no peer id', isText(peer_id, PEER_ID, 128)],
    [
      'from must be a URL, of the action host',
      from === undefined || (isHost && isText(from, URL_TEXT, MAX_URL_CHARACTERS)),
    ],
    [
      'invite must be a code, of the action host',
      invite === undefined || (isHost && isText(invite, INVITE, MAX_INVITE_CHARACTERS)),
    ],
    ['it has members that it must not have', Object.keys(rest).length === 0],
  ]
  const fault = checks.find(([, holds]) => !holds)
  if (fault !== undefined) throw invalid(fault[0])
  if (canonicalText(value) !== text) throw invalid('it is not its own RFC 8785 canonical form')
  return value as HostingStatement
}

function isText(value: unknown, pattern: RegExp, length: number): boolean {
  return typeof value === 'string' && value.length <= length && pattern.test(value)
}

function invalid(why: string): HostingError {
  return new HostingError('invalid_statement', `This is no hosting statement: ${why}.`)
}

/**
 * Signs a statement, deterministically (RFC 6979) and with low s.
 *
 * @param secretKey 32 bytes, the key of the statement's avatar
 * @returns 64 bytes r ‖ s
 */
export function signStatement(statement: HostingStatement, secretKey: Uint8Array): Uint8Array {
  const digest = recordDigest(new TextEncoder().encode(statementText(statement)))
  return sign(digest, secretKey, { prehash: false, lowS: true })
}
