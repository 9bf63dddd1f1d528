import { describe, expect, it } from 'vitest'
import { sign } from '../../src/record/curve.ts'
import { recordDigest, recordId } from '../../src/record/id.ts'
import { decodePayload } from '../../src/record/payload.ts'
import { createSigningKey, signRecord } from '../../src/record/sign.ts'
import type { SignedRecord } from '../../src/record/types.ts'
import { verifyRecord } from '../../src/record/verify.ts'
import { allEngines } from '../verify/all-engines.ts'
import { AVATAR, id, NETWORK, OTHER_SECRET_KEY, PATCH, SECRET_KEY, signBytes, text, utf8 } from './fixtures.ts'
import { HOSTILE } from './hostile.ts'

const PAYLOAD = utf8(text(PATCH))
const RECORD = signBytes(PAYLOAD)
const N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n

/** The recovery id of the test record's signature. */
const V = sign(recordDigest(PAYLOAD), SECRET_KEY, { prehash: false, format: 'recovered' })[0] ?? 9

function withSignature(change: (signature: Uint8Array) => ArrayLike<number>): SignedRecord {
  return { payload: PAYLOAD, signature: Uint8Array.from(change(RECORD.signature)) }
}

function withV(v: number): SignedRecord {
  return withSignature((signature) => [...signature, v])
}

function highS(signature: Uint8Array): number[] {
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).toString('hex')}`)
  return [...signature.subarray(0, 32), ...Buffer.from((N - s).toString(16).padStart(64, '0'), 'hex')]
}

const zeros = new Uint8Array(32)
const WRONG: readonly [what: string, code: string, record: SignedRecord][] = [
  ['another key', 'invalid_signature', signBytes(PAYLOAD, OTHER_SECRET_KEY)],
  [
    'another payload',
    'invalid_signature',
    { ...RECORD, payload: utf8(text(PATCH, { counter: '1', patch: '{"a":2}' })) },
  ],
  ['the signature of a hash without the prefix', 'invalid_signature', withSignature(() => sign(PAYLOAD, SECRET_KEY))],
  ['high s', 'high_s', withSignature(highS)],
  ['r zero', 'invalid_signature', withSignature((s) => [...zeros, ...s.subarray(32)])],
  ['s zero', 'invalid_signature', withSignature((s) => [...s.subarray(0, 32), ...zeros])],
  ['r above the order', 'invalid_signature', withSignature((s) => [...zeros.map(() => 255), ...s.subarray(32)])],
  ['s above the order', 'invalid_signature', withSignature((s) => [...s.subarray(0, 32), ...zeros.map(() => 255)])],
  ['no signature', 'invalid_signature', withSignature(() => [])],
  ['63 bytes', 'invalid_signature', withSignature((s) => s.subarray(1))],
]

describe.each(await allEngines())('with $name', (engine) => {
  const verify = (record: SignedRecord, recoveryByte = false) => verifyRecord(engine, NETWORK, record, { recoveryByte })
  const refused = (code: string) => expect.objectContaining({ name: 'RecordError', code }) as Error

  it('a good record is verified', () => {
    expect(verify(RECORD)).toEqual({ ...RECORD, id: recordId(PAYLOAD), body: decodePayload(PAYLOAD, NETWORK) })
    expect(verify(RECORD, true)).toEqual(verify(RECORD))
  })

  it.each(HOSTILE)('%s, signed: %s', (_, code, payload) => {
    // Fixed bytes stand in for a signature: the payload is judged first.
    expect(() => verify({ payload, signature: RECORD.signature })).toThrow(refused(code))
  })

  it.each(WRONG)('%s: %s', (_, code, record) => {
    const before = Buffer.concat([record.payload, record.signature])
    expect(() => verify(record)).toThrow(refused(code))
    expect(() => verify(record, true)).toThrow(refused(code))
    expect(before.equals(Buffer.concat([record.payload, record.signature]))).toBe(true)
  })

  it('every v is judged, and the right ones are dropped', () => {
    for (let v = 0; v < 256; v++) {
      if (v === V || v === V + 27) expect(verify(withV(v), true)).toEqual(verify(RECORD))
      else expect(() => verify(withV(v), true)).toThrow(refused('wrong_recovery'))
    }
    expect(() => verify(withV(V))).toThrow(refused('invalid_signature'))
  })

  it('a signature with v of another key is not good', () => {
    const { signature } = signBytes(PAYLOAD, OTHER_SECRET_KEY)
    for (const v of [0, 1]) {
      const record = { payload: PAYLOAD, signature: Uint8Array.from([...signature, v]) }
      expect(() => verify(record, true)).toThrow(refused('invalid_signature'))
    }
    const high = withSignature((s) => [...highS(s), V ^ 1])
    expect(() => verify(high, true)).toThrow(refused('high_s'))
  })

  it('an avatar off the curve is told from a bad signature', () => {
    const payload = utf8(text(PATCH, { avatar: `"0x02${id(5).slice(2)}"` }))
    const { signature } = signBytes(payload)
    expect(() => verify({ payload, signature })).toThrow(refused('invalid_avatar'))
    expect(() => verify({ payload, signature: Uint8Array.from([...signature, 0]) }, true)).toThrow(
      refused('invalid_avatar'),
    )
  })
})

describe('signRecord', () => {
  const body = decodePayload(PAYLOAD, NETWORK)

  it('signs by RFC 6979: the same every time', () => {
    expect(signRecord(body, SECRET_KEY)).toEqual(RECORD)
  })

  it('makes the same record with a signing key, of any engine', async () => {
    for (const engine of await allEngines()) {
      const secret = Uint8Array.from(SECRET_KEY)
      const key = createSigningKey(secret, engine)
      // A caller may wipe its own copy.
      secret.fill(0)
      expect(key.avatar).toBe(AVATAR)
      expect(signRecord(body, key)).toEqual(RECORD)
    }
    expect(() => createSigningKey(new Uint8Array(32))).toThrow(expect.objectContaining({ code: 'invalid_secret_key' }))
  })

  it("refuses another's key and what no node would take", () => {
    expect(() => signRecord(body, OTHER_SECRET_KEY)).toThrow(expect.objectContaining({ code: 'wrong_secret_key' }))
    expect(() => signRecord(body, new Uint8Array(32))).toThrow(expect.objectContaining({ code: 'invalid_secret_key' }))
    expect(() => signRecord({ ...body, counter: 2 }, SECRET_KEY)).toThrow(
      expect.objectContaining({ code: 'counter_not_next' }),
    )
  })
})
