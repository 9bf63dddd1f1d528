import { nobleEngine, type SignatureEngine } from './engine.ts'
import { RecordError } from './errors.ts'
import { recordDigest } from './id.ts'
import { avatarOf } from './keys.ts'
import { decodePayload, encodePayload } from './payload.ts'
import type { Avatar, RecordBody, SignedRecord } from './types.ts'

/** A secret key, ready to sign. Its avatar is derived once, which takes longer than a signature of a fast engine. */
export interface SigningKey {
  readonly avatar: Avatar
  /** Signs bytes as `personal_sign` does (EIP-191), deterministically (RFC 6979) and with low s. Returns 64 bytes r ‖ s. */
  sign(bytes: Uint8Array): Uint8Array
}

/**
 * Prepares a secret key for many signatures.
 *
 * @param secretKey 32 bytes; they are copied
 * @param engine signs. Every engine makes the same bytes; the default, in JavaScript, is the slowest
 * @throws RecordError `invalid_secret_key`
 */
export function createSigningKey(
  secretKey: Uint8Array,
  engine: Pick<SignatureEngine, 'sign' | 'keccak256'> = nobleEngine,
): SigningKey {
  const key = Uint8Array.from(secretKey)
  return {
    avatar: avatarOf(key),
    sign: (bytes) =>
      engine.sign(
        recordDigest(bytes, (message) => engine.keccak256(message)),
        key,
      ),
  }
}

/**
 * Signs a body. Rejects a body that no node would accept.
 *
 * @param key the key of the body's avatar: 32 bytes, or a signing key, which is faster for several records
 * @throws RecordError `wrong_secret_key` if the key is not the avatar's, `invalid_secret_key`, or the code of the first rule
 *   that the body breaks
 */
export function signRecord(body: RecordBody, key: Uint8Array | SigningKey): SignedRecord {
  const payload = encodePayload(body)
  const { avatar } = decodePayload(payload, body.network)
  const signer = key instanceof Uint8Array ? createSigningKey(key) : key
  if (signer.avatar !== avatar) {
    throw new RecordError('wrong_secret_key', `The secret key is not that of the avatar ${avatar}.`)
  }
  return { payload, signature: signer.sign(payload) }
}
