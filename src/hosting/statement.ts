/**
 * Statements by which an owner asks a node to host or to release an avatar (docs/protocol.md, "Asking to be hosted"). They
 * are signed like records. No text is both a statement and a record, because a record never has this `type`.
 */
import { canonicalText } from '../record/canonical.ts'
import { nobleEngine, type SignatureEngine } from '../record/engine.ts'
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
  /** With `host`: URL of the avatar's current node, to pull its records from. */
  readonly from?: string
  /** With `host`: an invitation code. */
  readonly invite?: string
  readonly network: string
  /** The node that the statement is for. */
  readonly peer_id: string
  readonly type: 'hosting'
  readonly version: '2'
}

/** A statement with a URL of 256 characters takes half of this. */
const MAX_STATEMENT_BYTES = 1_024
const MAX_URL_CHARACTERS = 256
const MAX_INVITE_CHARACTERS = 64

const AVATAR = /^0x0[23][0-9a-f]{64}$/
const NETWORK = /^[a-z0-9-]{1,32}$/
/** Peer ids as base58btc or as a CID (libp2p peer id specification, "String representation"). */
const PEER_ID = /^[A-Za-z0-9]{1,128}$/
/** Printable ASCII, since URLs percent-encode everything else; no query and no fragment. */
const URL_TEXT = /^https?:\/\/[\x21-\x22\x24-\x3e\x40-\x7e]+$/
const INVITE = /^[A-Za-z0-9-]+$/

/** Returns the text to sign: canonical JSON (RFC 8785). */
export function statementText(statement: HostingStatement): string {
  return canonicalText(statement)
}

/**
 * Parses a statement and checks that its avatar signed it.
 *
 * @param text exactly as it was signed
 * @param signature 64 bytes r ‖ s, or 65 with v
 * @throws HostingError `invalid_statement`; RecordError `invalid_signature`, `high_s`, `wrong_recovery`
 */
export function verifyStatement(
  engine: Pick<SignatureEngine, 'verify' | 'recover' | 'keccak256'>,
  text: string,
  signature: Uint8Array,
): HostingStatement {
  const bytes = new TextEncoder().encode(text)
  if (bytes.length > MAX_STATEMENT_BYTES) throw invalid(`it has more than ${MAX_STATEMENT_BYTES} bytes`)
  const statement = parse(text)
  const { compact, recoveryId } = splitSignature(signature, true)
  const digest = recordDigest(bytes, (each) => engine.keccak256(each))
  const key = avatarBytes(statement.avatar)
  const recovered = recoveryId === null ? null : engine.recover(compact, recoveryId, digest)
  const isWrongV = recoveryId !== null && (recovered === null || Buffer.compare(recovered, key) !== 0)
  if (isWrongV || !engine.verify(compact, digest, key)) {
    throw invalid('its signature does not match; sign the exact bytes of the text with the key of the avatar')
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
    ['network must be the name of a network', isText(network, NETWORK, 32)],
    ['peer_id must be a peer id', isText(peer_id, PEER_ID, 128)],
    [
      'from must be a URL, and needs the action "host"',
      from === undefined || (isHost && isText(from, URL_TEXT, MAX_URL_CHARACTERS)),
    ],
    [
      'invite must be an invitation code, and needs the action "host"',
      invite === undefined || (isHost && isText(invite, INVITE, MAX_INVITE_CHARACTERS)),
    ],
    ['it has unknown members', Object.keys(rest).length === 0],
  ]
  const fault = checks.find(([, holds]) => !holds)
  if (fault !== undefined) throw invalid(fault[0])
  if (canonicalText(value) !== text) throw invalid('it is not in RFC 8785 canonical form')
  return value as HostingStatement
}

function isText(value: unknown, pattern: RegExp, length: number): boolean {
  return typeof value === 'string' && value.length <= length && pattern.test(value)
}

function invalid(why: string): HostingError {
  return new HostingError('invalid_statement', `The hosting statement is invalid: ${why}.`)
}

/**
 * Signs a statement, deterministically (RFC 6979) and with low s.
 *
 * @param secretKey 32 bytes, the key of the statement's avatar
 * @returns 64 bytes r ‖ s
 */
export function signStatement(statement: HostingStatement, secretKey: Uint8Array): Uint8Array {
  const digest = recordDigest(new TextEncoder().encode(statementText(statement)))
  return nobleEngine.sign(digest, secretKey)
}
