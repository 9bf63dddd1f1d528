import { createHash } from 'node:crypto'
import { avatarBytes } from '../../src/record/keys.ts'
import { decodePayload } from '../../src/record/payload.ts'
import { recordDigest } from '../../src/record/id.ts'
import type { EngineName, SignatureEngine } from '../../src/record/engine.ts'
import { selectEngine } from '../../src/verify/select-engine.ts'
import { presign } from './presign.ts'
import type { Bench, Row } from './report.ts'

const ENGINES: readonly EngineName[] = ['libsecp256k1', 'libsecp256k1-wasm', 'noble']
/** Each of an avatar of its own, more than the engine keeps keys of: no verification profits from one before it. */
const RECORDS = 5_000
const WARM_UP_MS = 300
const MEASURE_MS = 2_000

interface Signed {
  readonly signature: Uint8Array
  readonly digest: Uint8Array
  readonly publicKey: Uint8Array
}

export const verifyRate: Bench = {
  name: 'verify-rate',
  about: 'signatures verified a second on one thread, by engine, and with the hash of 460 bytes',
  async run() {
    const signed = await samples()
    const rows: Row[] = []
    for (const name of ENGINES) {
      const engine = await selectEngine(name)
      if (engine.name !== name) continue
      rows.push({ measure: `${name}: verify`, value: rateOf(engine, signed), unit: 'records/s' })
      const payload = createHash('sha512').digest().toString('hex').repeat(4).slice(0, 460)
      const bytes = Buffer.from(payload)
      rows.push({
        measure: `${name}: keccak-256 of 460 bytes`,
        value: rate(() => engine.keccak256(bytes)),
        unit: 'hashes/s',
      })
    }
    return rows
  },
}

/** Verifications a second of libsecp256k1's bindings now, to which others are compared. */
export async function bindingsVerifyRate(): Promise<number> {
  const engine = await selectEngine('libsecp256k1')
  if (engine.name !== 'libsecp256k1') throw new Error('The native engine does not load here.')
  return rateOf(engine, await samples())
}

async function samples(): Promise<Signed[]> {
  const records = await presign({ name: 'verify', avatars: RECORDS, perAvatar: 1, payloadBytes: 460, keys: 10 })
  return records.map(({ payload, signature }) => ({
    signature,
    digest: recordDigest(payload),
    publicKey: avatarBytes(decodePayload(payload, 'main').avatar),
  }))
}

function rateOf(engine: SignatureEngine, signed: readonly Signed[]): number {
  let index = 0
  return rate(() => {
    const { signature, digest, publicKey } = signed[index++ % signed.length] as Signed
    if (!engine.verify(signature, digest, publicKey)) throw new Error(`${engine.name} refuses a good signature.`)
  })
}

/** Calls a second, after a warm-up. */
function rate(call: () => unknown): number {
  run(WARM_UP_MS, call)
  const { calls, ms } = run(MEASURE_MS, call)
  return (calls * 1000) / ms
}

function run(forMs: number, call: () => unknown): { calls: number; ms: number } {
  const start = performance.now()
  let calls = 0
  let ms = 0
  do {
    for (let index = 0; index < 20; index++) call()
    calls += 20
    ms = performance.now() - start
  } while (ms < forMs)
  return { calls, ms }
}
