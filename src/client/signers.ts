import { sign } from '../record/curve.ts'
import { recordDigest } from '../record/id.ts'
import { avatarOf, parseSecretKey } from '../record/keys.ts'
import type { Avatar } from '../record/types.ts'

/** Whoever signs for an avatar: EIP-191 `personal_sign` over a text. */
export interface Signer {
  readonly avatar: Avatar
  /** Whether it signs without asking a person. Default false: then it is asked again only where `put` has to. */
  readonly silent?: boolean
  /** 64 bytes r ‖ s, or 65 with v, as bytes, `0x` and hex digits, or base64. */
  sign(payloadText: string): Promise<Uint8Array | string>
}

/**
 * Signs with a secret key, without asking.
 *
 * @param secretKey 32 bytes, or 64 hex digits
 * @throws RecordError `invalid_secret_key`; its message never has the key
 */
export function privateKeySigner(secretKey: Uint8Array | string): Signer {
  const key = typeof secretKey === 'string' ? parseSecretKey(secretKey) : Uint8Array.from(secretKey)
  return {
    avatar: avatarOf(key),
    silent: true,
    sign: async (text) => sign(recordDigest(new TextEncoder().encode(text)), key, { prehash: false, lowS: true }),
  }
}
