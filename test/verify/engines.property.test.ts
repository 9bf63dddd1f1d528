import fc from 'fast-check'
import { expect, test } from 'vitest'
import { getPublicKey, sign } from '../../src/record/curve.ts'
import type { RecoveryId } from '../../src/record/engine.ts'
import { propertyRuns } from '../support/runs.ts'
import { allEngines } from './all-engines.ts'

/** The order of secp256k1 and its field's prime. */
const N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const P = 0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2fn

const engines = await allEngines()
const [native, wasm, noble] = engines

interface Case {
  readonly signature: Uint8Array
  readonly digest: Uint8Array
  readonly publicKey: Uint8Array
}

const toBytes = (value: bigint): Uint8Array => Uint8Array.from(Buffer.from(value.toString(16).padStart(64, '0'), 'hex'))
const toNumber = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
const rOf = (signature: Uint8Array): bigint => toNumber(signature.subarray(0, 32))
const sOf = (signature: Uint8Array): bigint => toNumber(signature.subarray(32))
const join = (r: bigint, s: bigint): Uint8Array => Uint8Array.from([...toBytes(r), ...toBytes(s)])
const flip = (bytes: Uint8Array, bit: number): Uint8Array =>
  bytes.map((byte, i) => (i === (bit >> 3) % bytes.length ? byte ^ (1 << (bit & 7)) : byte))

const MUTATIONS = {
  'high s': (c: Case): Case => ({ ...c, signature: join(rOf(c.signature), N - sOf(c.signature)) }),
  'n - r': (c: Case): Case => ({ ...c, signature: join(N - rOf(c.signature), sOf(c.signature)) }),
  'a bit of the signature': (c: Case, bit: number): Case => ({ ...c, signature: flip(c.signature, bit) }),
  'a bit of the digest': (c: Case, bit: number): Case => ({ ...c, digest: flip(c.digest, bit) }),
  'a bit of the key': (c: Case, bit: number): Case => ({ ...c, publicKey: flip(c.publicKey, bit) }),
  'the negated key': (c: Case): Case => ({
    ...c,
    publicKey: c.publicKey.map((byte, i) => (i === 0 ? byte ^ 1 : byte)),
  }),
  'another key': (c: Case, bit: number): Case => ({ ...c, publicKey: getPublicKey(toBytes(BigInt(bit) + 1n), true) }),
  'r and s exchanged': (c: Case): Case => ({ ...c, signature: join(sOf(c.signature), rOf(c.signature)) }),
  'r and s of edge values': (c: Case, bit: number): Case => {
    const edges = [0n, 1n, 2n, N / 2n, N / 2n + 1n, N - 1n, N, N + 1n, P - N - 1n, P - N, P - 1n, P, 2n ** 256n - 1n]
    const edge = (index: number): bigint => edges[index % edges.length] ?? 0n
    const from = [join(edge(bit), sOf(c.signature)), join(rOf(c.signature), edge(bit)), join(edge(bit), edge(bit >> 4))]
    return { ...c, signature: from[bit % 3] ?? c.signature }
  },
  'a digest of edge values': (c: Case, bit: number): Case => {
    const edges = [0n, 1n, N - 1n, N, N + 1n, P, 2n ** 256n - 1n]
    return { ...c, digest: toBytes(edges[bit % edges.length] ?? 0n) }
  },
  'lengths that are wrong': (c: Case, bit: number): Case => {
    const cut = bit % 2 === 0 ? (b: Uint8Array) => b.slice(1) : (b: Uint8Array) => Uint8Array.from([...b, 0])
    const cases = [
      { ...c, signature: cut(c.signature) },
      { ...c, digest: cut(c.digest) },
      { ...c, publicKey: cut(c.publicKey) },
    ]
    return cases[bit % 3] ?? c
  },
} as const

const mutation = fc.constantFrom(...Object.values(MUTATIONS))
const signed = fc
  .record({
    key: fc.bigInt({ min: 1n, max: N - 1n }).map(toBytes),
    digest: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Uint8Array.from(bytes)),
  })
  .map(({ key, digest }): Case => {
    return { digest, publicKey: getPublicKey(key, true), signature: sign(digest, key, { prehash: false }) }
  })

function agree({ signature, digest, publicKey }: Case): boolean {
  const verdict = native.verify(signature, digest, publicKey)
  expect(wasm.verify(signature, digest, publicKey)).toBe(verdict)
  expect(noble.verify(signature, digest, publicKey)).toBe(verdict)
  expect(engines.map((engine) => engine.isPublicKey(publicKey))).toEqual(
    engines.map(() => native.isPublicKey(publicKey)),
  )
  return verdict
}

/** JavaScript takes 4 ms to recover a key where the others take 0.07 and 0.4, and so is not always asked. */
function recoverAgrees({ signature, digest }: Case, recoveryId: RecoveryId, withNoble: boolean): string | null {
  const hex = engines.map((engine) => {
    if (engine === noble && !withNoble) return undefined
    const key = engine.recover(signature, recoveryId, digest)
    return key === null ? null : Buffer.from(key).toString('hex')
  })
  expect(hex[1]).toBe(hex[0])
  if (withNoble) expect(hex[2]).toBe(hex[0])
  return hex[0] ?? null
}

// About 40 s of computing, nearly all of it JavaScript's.
test('all engines give one verdict on signatures and mutations of them', () => {
  let judged = 0
  let good = 0
  fc.assert(
    fc.property(
      signed,
      fc.array(fc.tuple(mutation, fc.nat(1_000_000)), { minLength: 9, maxLength: 9 }),
      fc.constantFrom<RecoveryId[]>(0, 1, 2, 3),
      (original, mutations, recoveryId) => {
        expect(agree(original)).toBe(true)
        const cases = mutations.map(([mutate, bit]) => mutate(original, bit))
        const verdicts = cases.map(agree)
        judged += 1 + cases.length
        good += 1 + verdicts.filter(Boolean).length
        const keys = [0, 1].map((id) => recoverAgrees(original, id as RecoveryId, id === 0))
        expect(keys).toContain(Buffer.from(original.publicKey).toString('hex'))
        cases.forEach((each, i) => {
          const key = recoverAgrees(each, recoveryId, i === 0)
          // What recover names is a key under which the signature is good.
          if (key !== null) expect(native.verify(each.signature, each.digest, Buffer.from(key, 'hex'))).toBe(true)
        })
      },
    ),
    { numRuns: propertyRuns(1_000) },
  )
  expect(judged).toBe(10 * propertyRuns(1_000))
  expect(good).toBeLessThan(judged / 4)
})

test('signatures whose nonce has an x above the order are recovered by 2 and 3 with every engine', () => {
  // r from 1 on until r + n is the x of a point: any s then makes a signature that is good under what is recovered.
  let found = 0
  for (let r = 1n; found < 4; r++) {
    for (const recoveryId of [2, 3] as const) {
      const each = { signature: join(r, 5n), digest: toBytes(7n), publicKey: new Uint8Array(33) }
      const key = recoverAgrees(each, recoveryId, true)
      if (key === null) continue
      found++
      expect(agree({ ...each, publicKey: Uint8Array.from(Buffer.from(key, 'hex')) })).toBe(true)
    }
  }
})

const secretKey = fc.oneof(
  { weight: 8, arbitrary: fc.bigInt({ min: 1n, max: N - 1n }) },
  fc.constantFrom(1n, 2n, N / 2n, N / 2n + 1n, N - 2n, N - 1n),
)
const digest = fc.oneof(
  { weight: 8, arbitrary: fc.uint8Array({ minLength: 32, maxLength: 32 }) },
  fc.constantFrom(0n, 1n, N - 1n, N, N + 1n, P, 2n ** 256n - 1n).map(toBytes),
)

test('all engines make the same signature, which all accept', () => {
  fc.assert(
    fc.property(secretKey, digest, (number, message) => {
      const key = toBytes(number)
      const [first, ...others] = engines.map((engine) => Buffer.from(engine.sign(message, key)).toString('hex'))
      expect(others).toEqual([first, first])
      const signature = Uint8Array.from(Buffer.from(first ?? '', 'hex'))
      // noble reduces the digest itself, as RFC 6979 says.
      expect(signature).toEqual(sign(message, key, { prehash: false, lowS: true }))
      expect(agree({ signature, digest: message, publicKey: getPublicKey(key, true) })).toBe(true)
    }),
    { numRuns: propertyRuns(300) },
  )
})

test.each(engines)('$name signs with no secret key that is out of range, and no digest of another length', (engine) => {
  const message = toBytes(7n)
  const invalid = [0n, N, N + 1n, 2n ** 256n - 1n].map(toBytes)
  const good = toBytes(5n)
  for (const key of [...invalid, good.slice(1), Uint8Array.from([0, ...good]), new Uint8Array(0)]) {
    expect(() => engine.sign(message, key)).toThrow(expect.objectContaining({ code: 'invalid_secret_key' }))
  }
  for (const bytes of [message.slice(1), Uint8Array.from([0, ...message])]) {
    expect(() => engine.sign(bytes, good)).toThrow(RangeError)
  }
  expect(engine.sign(message, good)).toEqual(noble.sign(message, good))
})

test('all engines hash alike', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1_000 }), (bytes) => {
      const [first, ...others] = engines.map((engine) => Buffer.from(engine.keccak256(bytes)).toString('hex'))
      expect(others).toEqual([first, first])
    }),
    { numRuns: propertyRuns(500) },
  )
})
