import { hexToBytes } from '@noble/hashes/utils.js'
import type { SignatureEngine } from './engine.ts'

/** The public key of the secret key 1, which is the curve's generator. */
const KEY = hexToBytes('0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798')
/** keccak-256 of no bytes. */
const DIGEST = hexToBytes('c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470')
/** Over DIGEST with the secret key 1, by RFC 6979. */
const SIGNATURE = hexToBytes(
  '03925438bf9bdfed9cb8d9d9467f8fc624f389846f0db71f4f5c84b483077da62ca68cb1027ace392bc6a84fe0ba29288aa07942f571f56201dd33c009ee3886',
)
const SECRET_KEY = hexToBytes(`${'00'.repeat(31)}01`)
const RECOVERY_ID = 1
/** The same with n − s, which lax implementations accept. */
const HIGH_S = hexToBytes(
  '03925438bf9bdfed9cb8d9d9467f8fc624f389846f0db71f4f5c84b483077da6d359734efd8531c6d43957b01f45d6d6300e63a3b9d6aad9bdf52accc64808bb',
)

/** Known answers: what an engine must make and accept, and the nearest inputs that it must reject. */
export function passesSelfTest(engine: SignatureEngine): boolean {
  const otherDigest = engine.keccak256(Uint8Array.of(0))
  const otherKey = Uint8Array.from(KEY)
  otherKey[0] = 3
  const notOnCurve = new Uint8Array(33).fill(0xff)
  notOnCurve[0] = 2
  return (
    same(engine.keccak256(new Uint8Array(0)), DIGEST) &&
    engine.verify(SIGNATURE, DIGEST, KEY) &&
    !engine.verify(HIGH_S, DIGEST, KEY) &&
    !engine.verify(SIGNATURE, otherDigest, KEY) &&
    !engine.verify(SIGNATURE, DIGEST, otherKey) &&
    !engine.verify(new Uint8Array(64), DIGEST, KEY) &&
    same(engine.recover(SIGNATURE, RECOVERY_ID, DIGEST), KEY) &&
    !same(engine.recover(SIGNATURE, 0, DIGEST), KEY) &&
    same(engine.sign(DIGEST, SECRET_KEY), SIGNATURE) &&
    engine.isPublicKey(KEY) &&
    !engine.isPublicKey(notOnCurve)
  )
}

function same(a: Uint8Array | null, b: Uint8Array): boolean {
  return a !== null && a.length === b.length && a.every((each, i) => each === b[i])
}
