import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

import { afterEach, describe, expect, it } from 'vitest'
import type { EngineName } from '../../src/record/engine.ts'
import { RecordError } from '../../src/record/errors.ts'
import { recordId } from '../../src/record/id.ts'
import type { SignedRecord } from '../../src/record/types.ts'
import { verifyRecord } from '../../src/record/verify.ts'
import { selectEngine } from '../../src/verify/select-engine.ts'
import type { VerifyService } from '../../src/verify/types.ts'
import { createVerifyService } from '../../src/verify/verify-service.ts'
import { HOSTILE } from '../record/hostile.ts'
import { NETWORK, OTHER_SECRET_KEY, PATCH, signBytes, text, utf8 } from '../record/fixtures.ts'

const WORKER = new URL('../../dist/verify/worker.js', import.meta.url)
const CRASHING_WORKER = new URL('./crashing-worker.js', import.meta.url)

const patch = (n: number): Uint8Array => utf8(text(PATCH, { patch: `{"n":${n}}`, uuid: `"${uuid(n)}"` }))
const uuid = (n: number): string => `25cbb06c-e534-4f14-8740-${n.toString(16).padStart(12, '0')}`
const GOOD = Array.from({ length: 30 }, (_, i) => signBytes(patch(i)))
const BAD = [
  { payload: patch(1), signature: signBytes(patch(2)).signature },
  { payload: patch(1), signature: new Uint8Array(0) },
  signBytes(patch(3), OTHER_SECRET_KEY),
  ...HOSTILE.slice(0, 40).map(([, , payload]) => ({ payload, signature: GOOD[0]!.signature })),
]

/** `count` records, good and bad by turns. */
function mixed(count: number): SignedRecord[] {
  return Array.from({ length: count }, (_, i) => {
    return (i % 3 === 2 ? BAD[i % BAD.length] : GOOD[i % GOOD.length])!
  })
}

interface Logged {
  readonly level: 'warn' | 'error'
  readonly text: string
}

let open: VerifyService[] = []

async function service(options: { workers?: number; workerUrl?: URL; engine?: EngineName } = {}) {
  const logged: Logged[] = []
  const log = (level: Logged['level']) => (first: unknown, second?: unknown) => {
    logged.push({ level, text: typeof first === 'string' ? first : String(second) })
  }
  const { engine: name, ...rest } = options
  const engine = await selectEngine(name)
  const created = createVerifyService(
    { engine, logger: { warn: log('warn'), error: log('error') } },
    { network: NETWORK, ...rest },
  )
  open.push(created)
  return { service: created, logged, engine }
}

afterEach(async () => {
  await Promise.all(open.map((each) => each.close()))
  open = []
})

const plain = (result: object): unknown =>
  result instanceof RecordError ? { code: result.code, message: result.message } : { ...result }

describe('the verification service', () => {
  it.each<[number, EngineName]>([
    [0, 'libsecp256k1'],
    [1, 'libsecp256k1'],
    [31, 'libsecp256k1'],
    [32, 'libsecp256k1'],
    [33, 'libsecp256k1'],
    [1_000, 'libsecp256k1'],
    [100, 'libsecp256k1-wasm'],
    [3, 'noble'],
  ])('answers %i records in order, as verifyRecord does, with %s', async (count, name) => {
    const { service: verifier, engine, logged } = await service({ workers: 2, workerUrl: WORKER, engine: name })
    const records = mixed(count)
    const expected = records.map((record) => {
      try {
        return verifyRecord(engine, NETWORK, record, { recoveryByte: false })
      } catch (error) {
        return error as RecordError
      }
    })
    const results = await verifier.verify(records, { recoveryByte: false })
    expect(results.map(plain)).toEqual(expected.map(plain))
    expect(results.filter((each) => each instanceof RecordError)).toHaveLength(Math.floor(count / 3))
    expect(logged).toEqual([])
    expect(verifier.engine).toBe(name)
  })

  it('leaves the bytes that it was given alone', async () => {
    const { service: verifier } = await service({ workers: 2, workerUrl: WORKER })
    const records = Array.from({ length: 100 }, (_, i) => GOOD[i % GOOD.length]!)
    const before = records.map(({ payload }) => recordId(payload))
    const results = await verifier.verify(records, { recoveryByte: false })
    expect(records.map(({ payload }) => recordId(payload))).toEqual(before)
    expect(results.map((each) => (each instanceof RecordError ? each.code : each.id))).toEqual(before)
  })

  it('drops v, in workers and here', async () => {
    const { service: verifier } = await service({ workers: 1, workerUrl: WORKER })
    for (const count of [2, 64]) {
      const list = Array.from({ length: count }, (_, i) => {
        return { payload: GOOD[0]!.payload, signature: Uint8Array.from([...GOOD[0]!.signature, i % 2]) }
      })
      const results = await verifier.verify(list, { recoveryByte: true })
      const outcomes = results.map((each) => (each instanceof RecordError ? each.code : each.signature.length))
      expect(new Set(outcomes)).toEqual(new Set(['wrong_recovery', 64]))
      const strict = await verifier.verify(list, { recoveryByte: false })
      expect(strict.every((each) => each instanceof RecordError && each.code === 'invalid_signature')).toBe(true)
    }
  })

  it('answers many at once, each with its own', async () => {
    const { service: verifier } = await service({ workers: 2, workerUrl: WORKER })
    await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const records = Array.from({ length: 32 + i }, (_, j) => GOOD[(i + j) % GOOD.length]!)
        const results = await verifier.verify(records, { recoveryByte: false })
        const ids = results.map((each) => (each instanceof RecordError ? each.code : each.id))
        expect(ids).toEqual(records.map(({ payload }) => recordId(payload)))
      }),
    )
  })

  it('carries large records', async () => {
    const filler = 'x'.repeat(262_144 - text(PATCH, { patch: '{"a":""}' }).length)
    const large = signBytes(utf8(text(PATCH, { patch: `{"a":"${filler}"}` })))
    const { service: verifier } = await service({ workers: 2, workerUrl: WORKER })
    const results = await verifier.verify(
      Array.from({ length: 40 }, () => large),
      { recoveryByte: false },
    )
    expect(results.filter((each) => each instanceof RecordError)).toEqual([])
  })

  it('verifies itself what a worker dies of, and gives workers up that only die', async () => {
    const { service: verifier, logged } = await service({ workers: 2, workerUrl: CRASHING_WORKER })
    for (let round = 0; round < 6; round++) {
      // New ones each time: what was verified before goes to no worker.
      const records = Array.from({ length: 64 }, (_, i) => signBytes(patch(100 + 64 * round + i)))
      const results = await verifier.verify(records, { recoveryByte: false })
      expect(results.filter((each) => each instanceof RecordError)).toEqual([])
      expect(results).toHaveLength(64)
    }
    expect(logged.filter(({ level }) => level === 'error')).toHaveLength(1)
    expect(logged.filter(({ level }) => level === 'warn').length).toBeLessThanOrEqual(6)
  })

  it('starts its workers before any record only where it is asked to, and never after it is closed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'avatar-kv-worker-'))
    const started = join(folder, 'started')
    const script = join(folder, 'worker.mjs')
    await writeFile(
      script,
      `import { appendFileSync } from 'node:fs'\nappendFileSync(${JSON.stringify(started)}, '.')\n`,
    )
    try {
      const options = { workers: 2, workerUrl: pathToFileURL(script) }
      const [, prepared, closed] = await Promise.all([service(options), service(options), service(options)])
      await closed.service.close()
      closed.service.prepare()
      prepared.service.prepare()
      await expect.poll(() => readFile(started, 'utf8').catch(() => ''), { timeout: 60_000 }).toBe('..')
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('works without workers, and says so where their script is missing', async () => {
    const none = await service({ workers: 0 })
    const missing = await service({ workers: 2, workerUrl: new URL('./nothing.js', import.meta.url) })
    for (const { service: verifier } of [none, missing]) {
      const results = await verifier.verify(mixed(100), { recoveryByte: false })
      expect(results.filter((each) => each instanceof RecordError)).toHaveLength(33)
    }
    expect(none.logged).toEqual([])
    expect(missing.logged).toHaveLength(1)
  })

  it('lets other work go on meanwhile', async () => {
    const { service: verifier } = await service({ workers: 0, engine: 'noble' })
    let turns = 0
    let going = true
    const turn = (): void => {
      turns++
      if (going) setImmediate(turn)
    }
    setImmediate(turn)
    await verifier.verify(GOOD.slice(0, 10), { recoveryByte: false })
    going = false
    expect(turns).toBeGreaterThanOrEqual(9)
  })

  it('answers what was asked before it closes, and nothing after', async () => {
    const { service: verifier } = await service({ workers: 2, workerUrl: WORKER })
    const asked = verifier.verify(mixed(300), { recoveryByte: false })
    await verifier.close()
    expect(await asked).toHaveLength(300)
    await expect(verifier.verify(mixed(1), { recoveryByte: false })).rejects.toMatchObject({
      name: 'VerifyError',
      code: 'closed',
    })
    await verifier.close()
  })
})
