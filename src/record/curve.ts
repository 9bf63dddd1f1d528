/**
 * The curve library, ready to use. Its synchronous functions need hash functions that can only be assigned, and this module
 * assigns them. Import the curve from here.
 */
import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { hashes } from '@noble/secp256k1'

hashes.sha256 = sha256
hashes.hmacSha256 = (key, message) => hmac(sha256, key, message)

export { getPublicKey, Point, recoverPublicKey, sign, verify } from '@noble/secp256k1'
