import { bytesToHex } from '@noble/hashes/utils.js'
import { expect, test } from 'vitest'
import { recordDigest } from '../../../src/record/id.ts'
import { avatarOf, parseSecretKey } from '../../../src/record/keys.ts'
import { parseSignature, splitSignature } from '../../../src/record/signature.ts'
import { allEngines } from '../../verify/all-engines.ts'
import { vectorText } from './vectors.ts'

const [vector] = JSON.parse(vectorText('eip191.json')) as [{ text: string; secret_key: string; signature: string }]

test("the Next.ID service's signature names its key with every engine", async () => {
  const { compact, recoveryId } = splitSignature(parseSignature(vector.signature), true)
  const avatar = avatarOf(parseSecretKey(vector.secret_key))
  for (const engine of await allEngines()) {
    const digest = recordDigest(new TextEncoder().encode(vector.text), engine.keccak256)
    const key = engine.recover(compact, recoveryId ?? 3, digest)
    expect(`0x${bytesToHex(key ?? new Uint8Array(0))}`).toBe(avatar)
  }
})
