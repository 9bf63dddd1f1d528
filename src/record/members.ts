/**
 * The rules of the members of a payload (docs/protocol.md, "Payload"): one function for each member, with its own error code.
 */
import { tooDeep } from './bounds.ts'
import { RecordError } from './errors.ts'
import { LEVELS_ABOVE_PATCH, MAX_CONTENT_DEPTH, MAX_IDENTITY_BYTES, MAX_PARTS, MAX_PREV } from './limits.ts'
import { compareCitations, compareUtf8, utf8Length } from './order.ts'
import type { Avatar, Citation, JsonObject, JsonValue, RecordBody, RecordId } from './types.ts'

const AVATAR = /^0x0[23][0-9a-f]{64}$/
const ID = /^0x[0-9a-f]{64}$/
const NETWORK = /^[a-z0-9-]{1,32}$/
const PLATFORM = /^[a-z0-9._-]{1,64}$/
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** The platform of an avatar's own namespace. */
export const OWN_PLATFORM = 'nextid'

const MEMBERS: Readonly<Record<RecordBody['type'], readonly string[]>> = {
  patch: 'avatar counter created_at identity network patch platform prev type uuid version'.split(' '),
  snapshot: 'avatar counter created_at network parts prev state type uuid version'.split(' '),
  part: 'avatar counter created_at network state type uuid version'.split(' '),
}
const CITATION_MEMBERS = ['counter', 'id']
const STATE_MEMBERS = ['content', 'identity', 'platform']

/**
 * Checks every rule of a payload, except that the avatar is a point on the curve and that the text is canonical.
 *
 * @param value the parsed payload
 * @param depth the deepest level of objects and arrays in it, at most `MAX_PAYLOAD_DEPTH`, which is what a content may have
 * @param network the network in which it is judged
 * @throws RecordError with the code of the first rule that fails
 */
export function checkBody(value: unknown, depth: number, network: string): asserts value is RecordBody {
  if (!isObject(value)) throw new RecordError('not_an_object', 'The payload must be a JSON object.')
  if (member(value, 'version') !== '2') {
    throw new RecordError('wrong_version', 'version must be "2", the only one that this software knows.')
  }
  const type = member(value, 'type')
  if (type !== 'patch' && type !== 'snapshot' && type !== 'part') {
    throw new RecordError('unknown_type', 'type must be "patch", "snapshot" or "part".')
  }
  if (!hasExactly(value, MEMBERS[type])) {
    throw new RecordError('invalid_members', `A ${type} has exactly the members ${MEMBERS[type].join(', ')}.`)
  }
  checkNetwork(value.network, network)
  checkAvatar(value.avatar)
  checkPlace(value.counter, value.created_at)
  if (typeof value.uuid !== 'string' || !UUID.test(value.uuid)) {
    throw new RecordError('invalid_uuid', 'uuid must be 8-4-4-4-12 lower-case hex digits.')
  }
  if (type !== 'part') checkPrev(value.prev, value.counter)
  if (type === 'patch') checkPatch(value, depth)
  else checkState(value.state, value.avatar)
  if (type === 'snapshot') checkParts(value.parts)
}

function checkNetwork(value: JsonValue | undefined, network: string): void {
  if (typeof value !== 'string' || !NETWORK.test(value)) {
    throw new RecordError('wrong_network', 'network must be 1 to 32 of the characters a-z, 0-9 and -.')
  }
  if (value !== network) {
    throw new RecordError('wrong_network', `The record is of the network "${value}", and this is "${network}".`)
  }
}

function checkAvatar(value: JsonValue | undefined): void {
  if (!isAvatarText(value)) {
    throw new RecordError(
      'invalid_avatar',
      'avatar must be 0x and 66 lower-case hex digits: a compressed secp256k1 public key, prefix 02 or 03.',
    )
  }
}

/** Whether a value has the form of the canonical text of an avatar. Whether it is a point on the curve is not looked at. */
export function isAvatarText(value: unknown): value is Avatar {
  return typeof value === 'string' && AVATAR.test(value)
}

function checkPlace(counter: JsonValue | undefined, createdAt: JsonValue | undefined): void {
  if (!isInteger(createdAt, 0)) {
    throw new RecordError('invalid_created_at', 'created_at must be an integer, Unix seconds, from 0 to 2^53-1.')
  }
  if (!isInteger(counter, 1)) throw new RecordError('invalid_counter', 'counter must be an integer from 1 to 2^53-1.')
  if (counter > createdAt) {
    throw new RecordError('counter_above_created_at', `counter ${counter} is above created_at ${createdAt}.`)
  }
}

function checkPrev(value: JsonValue | undefined, counter: JsonValue | undefined): void {
  if (!Array.isArray(value) || value.length > MAX_PREV) {
    throw new RecordError('invalid_prev', `prev must be an array of at most ${MAX_PREV} citations: cite the greatest.`)
  }
  let last: Citation | undefined
  for (const each of value) {
    if (!isCitation(each)) {
      throw new RecordError(
        'invalid_prev',
        'A citation in prev must be {"counter":N,"id":"0x…"}: an integer from 1 to 2^53-1, 64 lower-case hex digits.',
      )
    }
    if (last !== undefined && compareCitations(last, each) >= 0) {
      throw new RecordError('invalid_prev', 'prev must be sorted by (counter, id) and have no citation twice.')
    }
    last = each
  }
  // Sorted neighbours differ; one id may still come twice with different counters.
  if (value.length > 1 && new Set(value.map((each) => (isCitation(each) ? each.id : ''))).size < value.length) {
    throw new RecordError('invalid_prev', 'prev has an id twice.')
  }
  const expected = last === undefined ? 1 : last.counter + 1
  if (counter !== expected) {
    throw new RecordError('counter_not_next', `counter must be ${expected}: 1 + the greatest counter in prev, or 1.`)
  }
}

function checkPatch(value: JsonObject, depth: number): void {
  checkNamespace(value.platform, value.identity, value.avatar)
  if (!isObject(value.patch)) throw new RecordError('invalid_patch', 'patch must be a JSON object (RFC 7396).')
  // No other member of a patch record nests three levels deep, so the depth of the payload is the depth of the patch.
  if (depth > LEVELS_ABOVE_PATCH + MAX_CONTENT_DEPTH) throw tooDeep()
}

function checkNamespace(
  platform: JsonValue | undefined,
  identity: JsonValue | undefined,
  avatar: JsonValue | undefined,
): void {
  if (typeof platform !== 'string' || !PLATFORM.test(platform)) {
    throw new RecordError('invalid_platform', 'platform must be 1 to 64 of the characters a-z, 0-9, dot, _ and -.')
  }
  if (platform === OWN_PLATFORM) {
    if (identity !== avatar) {
      throw new RecordError('invalid_identity', `Under the platform ${OWN_PLATFORM} identity must equal avatar.`)
    }
  } else if (!isIdentity(identity)) {
    throw new RecordError(
      'invalid_identity',
      `identity must be a text of 1 to ${MAX_IDENTITY_BYTES} UTF-8 bytes without control characters below U+0020.`,
    )
  }
}

function checkState(value: JsonValue | undefined, avatar: JsonValue | undefined): void {
  if (!Array.isArray(value)) throw new RecordError('invalid_state', 'state must be an array.')
  let lastPlatform = ''
  let lastIdentity = ''
  for (const each of value) {
    if (!isObject(each) || !hasExactly(each, STATE_MEMBERS) || !isObject(each.content)) {
      throw new RecordError('invalid_state', 'An entry of state must be {"content":{…},"identity":…,"platform":…}.')
    }
    checkNamespace(each.platform, each.identity, avatar)
    const platform = String(each.platform)
    const identity = String(each.identity)
    if ((compareUtf8(lastPlatform, platform) || compareUtf8(lastIdentity, identity)) >= 0) {
      throw new RecordError(
        'invalid_state',
        'state must be sorted by the UTF-8 bytes of platform, then identity, and have no pair twice.',
      )
    }
    lastPlatform = platform
    lastIdentity = identity
  }
}

function checkParts(value: JsonValue | undefined): void {
  if (!Array.isArray(value) || value.length > MAX_PARTS || !value.every(isId)) {
    throw new RecordError('invalid_parts', `parts must be an array of at most ${MAX_PARTS} ids: 0x and 64 hex digits.`)
  }
  if (new Set(value).size < value.length) throw new RecordError('invalid_parts', 'parts has an id twice.')
}

function isId(value: unknown): value is RecordId {
  return typeof value === 'string' && ID.test(value)
}

function isCitation(value: JsonValue): value is JsonValue & Citation {
  return isObject(value) && hasExactly(value, CITATION_MEMBERS) && isInteger(value.counter, 1) && isId(value.id)
}

function isIdentity(value: JsonValue | undefined): boolean {
  if (typeof value !== 'string' || value.length < 1 || value.length > MAX_IDENTITY_BYTES) return false
  for (let i = 0; i < value.length; i++) if (value.charCodeAt(i) < 0x20) return false
  return utf8Length(value) <= MAX_IDENTITY_BYTES
}

function isInteger(value: JsonValue | undefined, least: number): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= least
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function member(value: JsonObject, key: string): JsonValue | undefined {
  return Object.hasOwn(value, key) ? value[key] : undefined
}

/** Whether an object has exactly these members, in any order: the canonical form checks the order. */
function hasExactly(value: JsonObject, members: readonly string[]): boolean {
  return Object.keys(value).length === members.length && members.every((each) => Object.hasOwn(value, each))
}
