import { afterEach, describe, expect, it, vi } from 'vitest'
import type { EngineName, SignatureEngine } from '../../src/record/engine.ts'
import { passesSelfTest } from '../../src/record/self-test.ts'
import { selectEngine } from '../../src/verify/select-engine.ts'
import { allEngines } from './all-engines.ts'

const engines = await allEngines()
const [native] = engines

describe('selectEngine', () => {
  it.each<EngineName>(['libsecp256k1', 'libsecp256k1-wasm', 'noble'])(
    'begins with %s where it is asked to',
    async (name) => {
      expect((await selectEngine(name)).name).toBe(name)
    },
  )

  it('prefers the native one', async () => {
    expect((await selectEngine()).name).toBe('libsecp256k1')
  })
})

describe('the self test', () => {
  it.each(engines)('is passed by $name', (engine) => {
    expect(passesSelfTest(engine)).toBe(true)
  })

  it.each<[string, Partial<SignatureEngine>]>([
    ['accepts everything', { verify: () => true }],
    ['accepts nothing', { verify: () => false }],
    ['does not look at the digest', { verify: (s, d, k) => native.verify(s, d, k) || d[0] === 0xbc }],
    ['hashes by SHA-3', { keccak256: () => new Uint8Array(32) }],
    ['recovers nothing', { recover: () => null }],
    ['does not look at the recovery id', { recover: (s, _, d) => native.recover(s, 1, d) }],
    ['signs with another nonce', { sign: (d, k) => native.sign(native.keccak256(d), k) }],
    ['takes any key', { isPublicKey: () => true }],
    ['takes no key', { isPublicKey: () => false }],
  ])('is failed by an engine that %s', (_, change) => {
    expect(passesSelfTest({ ...native, ...change })).toBe(false)
  })
})

describe('where native code does not load', () => {
  afterEach(() => {
    vi.doUnmock('secp256k1/bindings.js')
    vi.doUnmock('@bitauth/libauth/build/lib/crypto/secp256k1.js')
    vi.resetModules()
  })

  const failing = () => {
    throw new Error('no prebuilt binary for this machine')
  }

  it('WASM is used, and JavaScript without that', async () => {
    vi.resetModules()
    vi.doMock('secp256k1/bindings.js', failing)
    const first = await import('../../src/verify/select-engine.ts')
    expect((await first.selectEngine()).name).toBe('libsecp256k1-wasm')
    vi.resetModules()
    vi.doMock('@bitauth/libauth/build/lib/crypto/secp256k1.js', failing)
    const second = await import('../../src/verify/select-engine.ts')
    expect((await second.selectEngine()).name).toBe('noble')
  })
})
