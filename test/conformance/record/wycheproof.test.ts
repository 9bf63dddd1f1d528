import { sha256 } from '@noble/hashes/sha2.js'
import { hexToBytes } from '@noble/hashes/utils.js'
import { expect, test } from 'vitest'
import { avatarBytes, parseAvatar } from '../../../src/record/keys.ts'
import { isStrictSignature } from '../../../src/record/signature.ts'
import { allEngines } from '../../verify/all-engines.ts'
import { vectorText } from './vectors.ts'

interface Wycheproof {
  readonly numberOfTests: number
  readonly testGroups: readonly {
    readonly publicKey: { readonly uncompressed: string }
    readonly tests: readonly { tcId: number; msg: string; sig: string; result: 'valid' | 'invalid' }[]
  }[]
}

const { numberOfTests, testGroups } = JSON.parse(
  vectorText('wycheproof/ecdsa_secp256k1_sha256_p1363_test.json'),
) as Wycheproof

const cases = testGroups.flatMap(({ publicKey, tests }) => {
  const key = avatarBytes(parseAvatar(publicKey.uncompressed))
  return tests.map(({ tcId, msg, sig, result }) => {
    return { tcId, key, digest: sha256(hexToBytes(msg)), signature: hexToBytes(sig), result }
  })
})

test.each(await allEngines())('$name accepts exactly the 95 valid cases with low s', (engine) => {
  const accepted = cases.filter(({ key, digest, signature }) => engine.verify(signature, digest, key))
  expect(numberOfTests).toBe(252)
  expect(cases).toHaveLength(numberOfTests)
  expect(accepted).toHaveLength(95)
  expect(accepted.filter(({ result }) => result !== 'valid')).toEqual([])
  const refused = cases.filter((each) => each.result === 'valid' && !accepted.includes(each))
  expect(refused).toHaveLength(72)
  expect(refused.filter(({ signature }) => isStrictSignature(signature))).toEqual([])
})
