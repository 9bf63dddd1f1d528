/** Parses one line of an archive. Nothing in it is trusted, and nothing deep is parsed. */
import { JsonTextError, RecordError } from '../record/errors.ts'
import { parseExactJson } from '../record/exact-json.ts'
import { parseSignature } from '../record/signature.ts'
import type { Avatar, SignedRecord } from '../record/types.ts'
import { ARCHIVE_FORMAT, MAX_NAMED_AVATARS, type ArchiveHeader, type ArchiveTrailer } from './format.ts'

export type Parsed =
  | { readonly kind: 'record'; readonly record: SignedRecord }
  | { readonly kind: 'header'; readonly header: ArchiveHeader }
  | { readonly kind: 'trailer'; readonly trailer: ArchiveTrailer }
  | { readonly kind: 'blank' }
  | {
      readonly kind: 'fault'
      readonly code: 'bad_header' | 'wrong_format' | 'wrong_trailer' | 'not_utf8' | 'bad_line' | 'bad_record'
      readonly message: string
      readonly record_code?: string
    }

const QUICK_START = '{"payload":"'
const QUICK_END = /","signature":"(0x[0-9a-f]{128,130})"\}$/
/** The greatest length that `QUICK_END` matches: no more of a line is searched. */
const QUICK_END_LENGTH = 160

const LONE_SURROGATE = /\p{Surrogate}/u
const NETWORK = /^[a-z0-9-]{1,32}$/
const DIGEST = /^sha256:[0-9a-f]{64}$/
/** A header nests two levels, everything else one. The reader bounds the length of a line. */
const LINE_LIMITS = { depth: 2, tokens: Infinity }

/** A byte order mark is part of the text. */
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const ENCODER = new TextEncoder()

/** @param bytes a line without its line feed */
export function parseLine(bytes: Uint8Array): Parsed {
  let text: string
  try {
    text = UTF8.decode(bytes)
  } catch {
    return fault('not_utf8', 'The line is not UTF-8 text.')
  }
  try {
    return quickRecord(text) ?? parseSlowly(text)
  } catch (error) {
    if (error instanceof JsonTextError) return fault('bad_line', error.message)
    throw error
  }
}

/** Whether a line is a trailer, or was meant as one. */
export function isTrailer(parsed: Parsed): boolean {
  return parsed.kind === 'trailer' || (parsed.kind === 'fault' && parsed.code === 'wrong_trailer')
}

/** A record in exactly the form in which archives are written. */
function quickRecord(text: string): Parsed | undefined {
  if (!text.startsWith(QUICK_START)) return undefined
  const end = QUICK_END.exec(text.slice(-QUICK_END_LENGTH))
  if (end === null) return undefined
  const [whole, signature = ''] = end
  let payload: unknown
  try {
    // Only a string literal: with a quote too many it is not JSON.
    payload = JSON.parse(text.slice(QUICK_START.length - 1, text.length - whole.length + 1))
  } catch {
    return undefined
  }
  return typeof payload === 'string' ? toRecord(payload, signature) : undefined
}

function parseSlowly(text: string): Parsed {
  if (text.trim() === '') return { kind: 'blank' }
  const value = parseShallow(text)
  if (value === undefined) return fault('bad_line', 'The line is not a JSON object of an archive.')
  if ('payload' in value || 'signature' in value) {
    const { payload, signature, ...others } = value
    if (typeof payload !== 'string' || typeof signature !== 'string' || Object.keys(others).length > 0) {
      return fault('bad_line', 'A record is {"payload":"…","signature":"0x…"}, two texts and nothing else.')
    }
    return toRecord(payload, signature)
  }
  if ('format' in value) return toHeader(value)
  if ('digest' in value) return toTrailer(value)
  return fault('bad_line', 'The line is neither a header nor a record nor a trailer.')
}

/**
 * Undefined for text that is not a JSON object, or a deep one.
 *
 * @throws JsonTextError `inexact_number`, `duplicate_key`
 */
function parseShallow(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = parseExactJson(text, LINE_LIMITS)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.assign(Object.create(null) as Record<string, unknown>, value)
      : undefined
  } catch (error) {
    if (error instanceof JsonTextError && (error.code === 'too_complex' || error.code === 'invalid_json'))
      return undefined
    throw error
  }
}

function toRecord(payload: string, signature: string): Parsed {
  // As bytes it would become U+FFFD, which was not signed.
  if (LONE_SURROGATE.test(payload)) {
    const message = 'The payload has a lone surrogate, which no UTF-8 text can have.'
    return { kind: 'fault', code: 'bad_record', message, record_code: 'lone_surrogate' }
  }
  try {
    return { kind: 'record', record: { payload: ENCODER.encode(payload), signature: parseSignature(signature) } }
  } catch (error) {
    if (!(error instanceof RecordError)) throw error
    return { kind: 'fault', code: 'bad_record', message: error.message, record_code: error.code }
  }
}

function toHeader({ format, created_at, network, avatars }: Record<string, unknown>): Parsed {
  if (format !== ARCHIVE_FORMAT) {
    const isOther = typeof format === 'string' && /^[\w./-]{1,64}$/.test(format)
    return fault(
      'wrong_format',
      `The archive has the format ${isOther ? format : '?'}; this version reads ${ARCHIVE_FORMAT}.`,
    )
  }
  if (typeof network !== 'string' || !NETWORK.test(network)) {
    return fault('bad_header', 'The header names no network: 1 to 32 of the characters a-z, 0-9 and -.')
  }
  if (typeof created_at !== 'number' || !Number.isSafeInteger(created_at) || created_at < 0) {
    return fault('bad_header', 'created_at in the header is not a whole number of seconds.')
  }
  if (avatars === undefined) return { kind: 'header', header: { created_at, network } }
  const named = toAvatars(avatars)
  if (named === undefined) return fault('bad_header', 'avatars in the header is not a list of avatars.')
  return { kind: 'header', header: { created_at, network, avatars: named } }
}

const CANONICAL_AVATAR = /^0x0[23][0-9a-f]{64}$/

/** Checks the form only. Records prove that an avatar is on the curve. */
function toAvatars(value: unknown): Avatar[] | undefined {
  if (!Array.isArray(value) || value.length > MAX_NAMED_AVATARS) return undefined
  const texts: readonly unknown[] = value
  return texts.every((each) => typeof each === 'string' && CANONICAL_AVATAR.test(each))
    ? (texts as Avatar[])
    : undefined
}

function toTrailer({ digest, records }: Record<string, unknown>): Parsed {
  if (typeof digest !== 'string' || !DIGEST.test(digest) || typeof records !== 'number' || !Number.isInteger(records)) {
    return fault('wrong_trailer', 'The trailer is not {"digest":"sha256:<64 hex digits>","records":N}.')
  }
  return { kind: 'trailer', trailer: { digest: digest.slice('sha256:'.length), records } }
}

function fault(code: Extract<Parsed, { kind: 'fault' }>['code'], message: string): Parsed {
  return { kind: 'fault', code, message }
}
