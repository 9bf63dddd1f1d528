import { sign } from './curve.ts'
import { RecordError } from './errors.ts'
import { recordDigest } from './id.ts'
import { avatarOf } from './keys.ts'
import { decodePayload, encodePayload } from './payload.ts'
import type { RecordBody, SignedRecord } from './types.ts'

/**
 * Signs a body, deterministically (RFC 6979) and with low s, in pure JavaScript. Rejects a body that no node would accept.
 *
 * @param secretKey 32 bytes, the key of the body's avatar
 * @throws RecordError `wrong_secret_key` if the key is not the avatar's, `invalid_secret_key`, or the code of the first rule
 *   that the body breaks
 */
export function signRecord(body: RecordBody, secretKey: Uint8Array): SignedRecord {
  const payload = encodePayload(body)
  const { avatar } = decodePayload(payload, body.network)
  if (avatarOf(secretKey) !== avatar) {
    throw new RecordError('wrong_secret_key', `The secret key is not that of the avatar ${avatar}.`)
  }
  return { payload, signature: sign(recordDigest(payload), secretKey, { prehash: false, lowS: true }) }
}
