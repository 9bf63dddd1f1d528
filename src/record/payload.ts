/**
 * Payload bytes to body and back. Decoding any bytes gives either a body for which every rule of docs/protocol.md "Payload"
 * holds, or a RecordError, in time linear in their length.
 */
import { scanBounds } from './bounds.ts'
import { canonicalText, checkCanonical } from './canonical.ts'
import { RecordError } from './errors.ts'
import { checkPoint } from './keys.ts'
import { MAX_PAYLOAD_BYTES } from './limits.ts'
import { checkBody } from './members.ts'
import type { RecordBody } from './types.ts'

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Decodes a payload and checks all of its rules.
 *
 * The check that the avatar is a point on the curve takes about 0.2 ms in JavaScript; `verifyRecord` leaves it to its
 * engine.
 *
 * @param bytes exact payload bytes
 * @param network the network in which the record is judged
 * @throws RecordError with the code of the first rule that fails
 */
export function decodePayload(bytes: Uint8Array, network: string): RecordBody {
  const body = decodeUncheckedPoint(bytes, network)
  checkPoint(body.avatar)
  return body
}

/**
 * `decodePayload` without the check that the avatar is a point on the curve. For callers that verify the signature next: no
 * signature is good under a key that is not a point.
 *
 * @throws RecordError with the code of the first rule that fails
 */
export function decodeUncheckedPoint(bytes: Uint8Array, network: string): RecordBody {
  if (bytes.length > MAX_PAYLOAD_BYTES) throw payloadTooLarge(bytes.length)
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
    throw new RecordError('byte_order_mark', 'The payload begins with a byte order mark: leave it out.')
  }
  const text = decodeText(bytes)
  const depth = scanBounds(text)
  const value = parse(text)
  checkBody(value, depth, network)
  checkCanonical(text, value)
  return value
}

/**
 * Parses a payload that was verified before and protected from change since. Checks nothing.
 */
export function readVerifiedPayload(bytes: Uint8Array): RecordBody {
  return JSON.parse(UTF8.decode(bytes)) as RecordBody
}

/**
 * The payload bytes of a body: its canonical form (RFC 8785) in UTF-8. Does not check the rules of the members.
 *
 * @throws RecordError `payload_too_large`, `too_deep`, `too_many_members`, `invalid_json`, `invalid_number`,
 * `lone_surrogate`
 */
export function encodePayload(body: RecordBody): Uint8Array {
  const bytes = new TextEncoder().encode(canonicalText(body))
  if (bytes.length > MAX_PAYLOAD_BYTES) throw payloadTooLarge(bytes.length)
  return bytes
}

function decodeText(bytes: Uint8Array): string {
  try {
    return UTF8.decode(bytes)
  } catch {
    throw new RecordError('invalid_utf8', 'The payload is not valid UTF-8.')
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new RecordError('invalid_json', 'The payload is not JSON.')
  }
}

function payloadTooLarge(bytes: number): RecordError {
  return new RecordError(
    'payload_too_large',
    `The payload has ${bytes} bytes; ${MAX_PAYLOAD_BYTES} are allowed. Split the write into several records.`,
  )
}
