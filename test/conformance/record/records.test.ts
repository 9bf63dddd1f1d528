import { expect, test } from 'vitest'
import { recordId } from '../../../src/record/id.ts'
import { avatarOf, parseAvatar, parseSecretKey, uncompressedAvatar } from '../../../src/record/keys.ts'
import { decodePayload, encodePayload } from '../../../src/record/payload.ts'
import { signRecord } from '../../../src/record/sign.ts'
import { parseSignature } from '../../../src/record/signature.ts'
import { verifyRecord } from '../../../src/record/verify.ts'
import { allEngines } from '../../verify/all-engines.ts'
import { recordVectors } from './vectors.ts'

const { keys, records } = recordVectors()
const engines = await allEngines()

test.each(Object.entries(records))('record %s', (_, { payload: text, signature, id }) => {
  const payload = new TextEncoder().encode(text)
  for (const engine of engines) {
    const record = { payload, signature: parseSignature(signature) }
    const verified = verifyRecord(engine, 'main', record, { recoveryByte: false })
    expect(verified.id).toBe(id)
    expect(new TextDecoder().decode(encodePayload(verified.body))).toBe(text)
  }
  expect(recordId(payload)).toBe(id)
})

test.each(Object.values(keys))('key of $avatar', ({ secret_key: secretKey, avatar, uncompressed }) => {
  expect(avatarOf(parseSecretKey(secretKey))).toBe(avatar)
  expect(parseAvatar(uncompressed)).toBe(avatar)
  expect(uncompressedAvatar(parseAvatar(avatar))).toBe(uncompressed)
})

test('what the test keys sign here verifies with every engine', () => {
  const secretKeys = new Map(Object.values(keys).map((key) => [key.avatar, parseSecretKey(key.secret_key)]))
  for (const { payload, id } of Object.values(records)) {
    const body = decodePayload(new TextEncoder().encode(payload), 'main')
    const secretKey = secretKeys.get(body.avatar)
    if (secretKey === undefined) throw new Error('a record of an unknown key')
    const record = signRecord(body, secretKey)
    for (const engine of engines) {
      expect(verifyRecord(engine, 'main', record, { recoveryByte: false }).id).toBe(id)
    }
    expect(signRecord(body, secretKey).signature).toEqual(record.signature)
  }
  expect(Object.keys(records)).toHaveLength(21)
})
