import canonicalize from 'canonicalize'
import { checkBounds, invalidNumber } from './bounds.ts'
import { RecordError } from './errors.ts'

/**
 * The canonical JSON text of a value (RFC 8785).
 *
 * @throws RecordError `too_deep`, `too_many_members`, `invalid_json`, `invalid_number`, `lone_surrogate`
 */
export function canonicalText(value: unknown): string {
  checkBounds(value)
  const surrogate = findLoneSurrogate(value)
  if (surrogate) throw loneSurrogate()
  const text = canonicalize(value)
  if (text === undefined) throw new RecordError('invalid_json', 'A value is not JSON.')
  return text
}

/**
 * Checks that text is byte for byte the canonical form of the value that it was parsed to. Check the depth first: this
 * function recurses.
 *
 * @throws RecordError `invalid_number`, `lone_surrogate`, `not_canonical`
 */
export function checkCanonical(text: string, value: unknown): void {
  // RFC 8785 prints numbers, strings and literals as JSON.stringify does, so text that JSON.stringify reproduces is canonical
  // if its members are in order. Two cases need the slow check: lone surrogates, which JSON.stringify escapes, and keys that
  // look like array indices, which JavaScript objects put first.
  if (!text.includes('\\ud') && JSON.stringify(value) === text && isInOrder(value)) return
  if (hasInfinity(value)) throw invalidNumber()
  if (findLoneSurrogate(value)) throw loneSurrogate()
  if (canonicalize(value) === text) return
  throw new RecordError(
    'not_canonical',
    'The payload is not its own RFC 8785 canonical form: sorted unique keys, no white space, shortest numbers and escapes.',
  )
}

/**
 * Whether the members of every object come in order of their UTF-16 code units (RFC 8785, section 3.2.3). Not by
 * `Object.entries`, which makes an array of each member.
 */
function isInOrder(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true
  if (Array.isArray(value)) {
    for (const each of value) if (typeof each === 'object' && !isInOrder(each)) return false
    return true
  }
  const members = value as Readonly<Record<string, unknown>>
  let previous: string | undefined
  for (const key of Object.keys(members)) {
    if (previous !== undefined && previous >= key) return false
    const member = members[key]
    if (typeof member === 'object' && !isInOrder(member)) return false
    previous = key
  }
  return true
}

function hasInfinity(value: unknown): boolean {
  if (typeof value === 'number') return !Number.isFinite(value)
  if (typeof value !== 'object' || value === null) return false
  return Object.values(value).some(hasInfinity)
}

function findLoneSurrogate(value: unknown): boolean {
  if (typeof value === 'string') return LONE_SURROGATE.test(value)
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) return value.some(findLoneSurrogate)
  return Object.entries(value).some(([key, each]) => LONE_SURROGATE.test(key) || findLoneSurrogate(each))
}

/** With the flag u a surrogate pair is one character, so only lone surrogates match. */
const LONE_SURROGATE = /\p{Surrogate}/u

function loneSurrogate(): RecordError {
  return new RecordError('lone_surrogate', 'A string has half a surrogate pair, which is not Unicode text: remove it.')
}
