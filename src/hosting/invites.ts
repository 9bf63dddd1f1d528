import { createHash } from 'node:crypto'

import type { Randomness } from '../platform/environment.ts'

/** 100 bits: too many to guess one of 10,000 codes within the limits on requests. */
const CODE_CHARACTERS = 20
/** RFC 4648, section 6, in lower case: without 0, 1, 8 and 9, which look like letters. */
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'

/** A new code, such as `mzxw-6ytb-oi5d-ahxa-3q7k`. */
export function createInvite(random: Randomness): string {
  const code = [...random.bytes(CODE_CHARACTERS)].map((byte) => ALPHABET[byte % ALPHABET.length]).join('')
  return code.replaceAll(/.{4}(?=.)/g, '$&-')
}

/** The hash under which a code is stored. Hyphens and case do not count. */
export function hashInvite(code: string): string {
  const plain = code.toLowerCase().replaceAll(/[^a-z2-7]/g, '')
  return createHash('sha256').update(`avatar-kv invite ${plain}`).digest('hex')
}
