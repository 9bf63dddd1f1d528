import type { Bound } from '../negentropy/types.ts'
import { FINGERPRINT_BYTES, ID_BYTES } from '../negentropy/wire.ts'
import { decodeBatch } from '../record/codec.ts'
import { RecordError } from '../record/errors.ts'
import { readFields } from '../record/protobuf.ts'
import type { SignedRecord } from '../record/types.ts'
import { SyncError } from './errors.ts'
import { AVATAR_BYTES, KINDS, REFUSALS, type Frame, type FrameList, type RefusedEntry } from './frame-types.ts'
import {
  MAX_FRAME_BYTES,
  MAX_FRAME_RECORDS,
  MAX_LISTED_AVATARS,
  MAX_NEGENTROPY_BYTES,
  MAX_REQUEST_IDS,
} from './limits.ts'

/**
 * Decodes a frame.
 *
 * @returns views of `bytes`
 * @throws SyncError `malformed_frame`, `frame_too_large`
 */
export function decodeFrame(bytes: Uint8Array): Frame {
  if (bytes.length > MAX_FRAME_BYTES) {
    throw new SyncError('frame_too_large', `A frame has ${bytes.length} bytes; ${MAX_FRAME_BYTES} are allowed.`)
  }
  let kind: Frame['kind'] | undefined
  let body: Uint8Array = new Uint8Array(0)
  readFields(
    bytes,
    (field, value) => {
      const known = KINDS[field - 1]
      if (known === undefined || typeof value === 'number') return
      kind = known
      body = value
    },
    malformed,
  )
  if (kind === undefined) throw malformed('it is of no known kind')
  return decodeBody(kind, body)
}

function decodeBody(kind: Frame['kind'], body: Uint8Array): Frame {
  if (kind === 'records') return { kind, records: decodeRecords(body) }
  const fields = new Fields(body)
  switch (kind) {
    case 'hello':
      return {
        kind,
        version: fields.number(1),
        network: text(fields.bytes(2, 32)),
        purpose: fields.number(3) === 1 ? 'fetch' : 'reconcile',
        list: decodeList(fields.message(4)),
        count: fields.number(5),
        opening: fields.bytes(6, MAX_NEGENTROPY_BYTES),
        mark: decodeBound(fields.message(7)),
      }
    case 'welcome':
      return {
        kind,
        count: fields.number(1),
        below: fields.number(2),
        answer: fields.bytes(3, MAX_NEGENTROPY_BYTES),
        list: decodeList(fields.message(4)),
        common: fields.bytes(5, MAX_BITS_BYTES),
        differing: fields.bytes(6, MAX_BITS_BYTES),
      }
    case 'refusal':
      return { kind, code: REFUSALS[fields.number(1)] ?? 'unknown' }
    case 'reconcile':
      return {
        kind,
        pass: fields.number(1),
        message: fields.bytes(2, MAX_NEGENTROPY_BYTES),
        subset: fields.bytes(3, MAX_BITS_BYTES),
      }
    case 'reconciled':
      return { kind, pass: fields.number(1), message: fields.bytes(2, MAX_NEGENTROPY_BYTES) }
    case 'bulk': {
      const from = decodeBound(fields.message(1))
      if (from === null) throw malformed('a bulk stream is asked from nowhere')
      return { kind, from }
    }
    case 'request': {
      const ids = decodeIds(fields.bytes(1, MAX_REQUEST_IDS * ID_BYTES))
      if (ids.length === 0) throw malformed('a request asks for nothing')
      return { kind, ids }
    }
    case 'delivered':
      return { kind, missing: decodeIds(fields.bytes(1, MAX_REQUEST_IDS * ID_BYTES)) }
    case 'taken':
      return { kind, refused: decodeTaken(body) }
  }
}

const MAX_BITS_BYTES = Math.ceil(MAX_LISTED_AVATARS / 8)

/** The last value of each field. */
class Fields {
  readonly #values = new Map<number, number | Uint8Array>()

  constructor(bytes: Uint8Array) {
    readFields(
      bytes,
      (field, value) => {
        // Fields that sync.proto does not define are ignored and take no memory.
        if (field < 8) this.#values.set(field, value)
      },
      malformed,
    )
  }

  number(field: number): number {
    const value = this.#values.get(field)
    if (typeof value !== 'number') return 0
    if (!Number.isSafeInteger(value)) throw malformed('a number is above 2^53 - 1')
    return value
  }

  bytes(field: number, max: number): Uint8Array {
    const value = this.message(field) ?? new Uint8Array(0)
    if (value.length > max) throw malformed(`field ${field} has ${value.length} bytes; ${max} are allowed`)
    return value
  }

  message(field: number): Uint8Array | undefined {
    const value = this.#values.get(field)
    return typeof value === 'number' ? undefined : value
  }
}

function text(bytes: Uint8Array): string {
  // The text is only compared: broken UTF-8 becomes U+FFFD, which no network's name contains.
  return new TextDecoder().decode(bytes)
}

function decodeRecords(body: Uint8Array): SignedRecord[] {
  let records: SignedRecord[]
  try {
    records = decodeBatch(body, { maxBytes: MAX_FRAME_BYTES, maxRecords: MAX_FRAME_RECORDS })
  } catch (error) {
    if (error instanceof RecordError) throw malformed(error.message)
    throw error
  }
  if (records.length === 0) throw malformed('it brings no records')
  return records
}

function decodeIds(bytes: Uint8Array): Uint8Array {
  if (bytes.length % ID_BYTES !== 0) throw malformed(`ids take ${bytes.length} bytes`)
  return bytes
}

function decodeBound(bytes: Uint8Array | undefined): Bound | null {
  if (bytes === undefined) return null
  const fields = new Fields(bytes)
  return { timestamp: fields.number(1), id: fields.bytes(2, ID_BYTES) }
}

function decodeList(bytes: Uint8Array | undefined): FrameList | null {
  if (bytes === undefined) return null
  const fields = new Fields(bytes)
  const avatars = fields.bytes(1, MAX_LISTED_AVATARS * AVATAR_BYTES)
  const fingerprints = fields.bytes(2, MAX_LISTED_AVATARS * FINGERPRINT_BYTES)
  const count = avatars.length / AVATAR_BYTES
  if (!Number.isInteger(count)) throw malformed(`avatars take ${avatars.length} bytes`)
  if (fingerprints.length !== count * FINGERPRINT_BYTES) throw malformed('a list has not one fingerprint an avatar')
  for (let at = AVATAR_BYTES; at < avatars.length; at += AVATAR_BYTES) {
    if (!isBelow(avatars, at - AVATAR_BYTES, at)) throw malformed('the avatars of a list do not ascend')
  }
  return { avatars, fingerprints }
}

function isBelow(avatars: Uint8Array, left: number, right: number): boolean {
  for (let at = 0; at < AVATAR_BYTES; at += 1) {
    const difference = (avatars[left + at] ?? 0) - (avatars[right + at] ?? 0)
    if (difference !== 0) return difference < 0
  }
  return false
}

function decodeTaken(body: Uint8Array): RefusedEntry[] {
  const refused: RefusedEntry[] = []
  readFields(
    body,
    (field, value) => {
      if (field !== 1 || typeof value === 'number') return
      if (refused.length >= MAX_FRAME_RECORDS) throw malformed(`more than ${MAX_FRAME_RECORDS} records were not taken`)
      const fields = new Fields(value)
      const id = fields.bytes(1, ID_BYTES)
      if (id.length !== ID_BYTES) throw malformed('an id is not 32 bytes long')
      refused.push({ id, retrySeconds: fields.number(2) })
    },
    malformed,
  )
  return refused
}

function malformed(why: string): SyncError {
  return new SyncError('malformed_frame', `A frame is not of the sync protocol: ${why}.`)
}
