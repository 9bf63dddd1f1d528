import { createRequire } from 'node:module'
import { keccak_256 } from '@noble/hashes/sha3.js'
import type { Avatar, RecordBody, RecordId, SignedRecord } from '../../src/record/types.ts'
import { canonicalText } from './canonical-text.ts'

/*
 * Payload, id and signature of a record, written apart from src/record, and quick enough (libsecp256k1, about 20,000
 * signatures a second) to sign every record of every generated history.
 */

interface Bindings {
  ecdsaSign(digest: Uint8Array, secretKey: Uint8Array): { signature: Uint8Array; recid: number }
  publicKeyCreate(secretKey: Uint8Array, compressed: boolean): Uint8Array
}

const bindings: Bindings = createRequire(import.meta.url)('secp256k1/bindings')

/** A record as the tests handle it: signed bytes, their id and the body that they hold. */
export interface TestRecord extends SignedRecord {
  readonly id: RecordId
  readonly body: RecordBody
}

export interface TestKey {
  readonly secretKey: Uint8Array
  readonly avatar: Avatar
}

/** A key made from a small number; never to be used for anything else. */
export function testKey(seed: number): TestKey {
  const secretKey = keccak_256(new TextEncoder().encode(`avatar-kv test key ${seed}`))
  return { secretKey, avatar: `0x${Buffer.from(bindings.publicKeyCreate(secretKey, true)).toString('hex')}` }
}

/** Signs whatever body it is given, right or wrong. */
export function signBody(key: TestKey, body: RecordBody): TestRecord {
  const payload = new TextEncoder().encode(canonicalText(JSON.parse(JSON.stringify(body))))
  const prefix = new TextEncoder().encode(`\u0019Ethereum Signed Message:\n${payload.length}`)
  const digest = keccak_256(Buffer.concat([prefix, payload]))
  const { signature } = bindings.ecdsaSign(digest, key.secretKey)
  return { payload, signature, id: `0x${Buffer.from(digest).toString('hex')}`, body }
}
