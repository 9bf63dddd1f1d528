import { describe, expect, it } from 'vitest'
import type { SignatureEngine } from '../../src/record/engine.ts'
import { RecordError } from '../../src/record/errors.ts'
import { parseSignature } from '../../src/record/signature.ts'
import type { SignedRecord, VerifiedRecord } from '../../src/record/types.ts'
import { verifyRecord, verifyRecords } from '../../src/record/verify.ts'
import { recordVectors } from '../conformance/record/vectors.ts'
import { forged, withV } from '../ingest/door.ts'
import { testKey } from '../oracle/signing.ts'
import { Writer } from '../store/writer.ts'
import { allEngines } from '../verify/all-engines.ts'
import { NETWORK, signBytes } from './fixtures.ts'
import { HOSTILE } from './hostile.ts'

const good = new Writer(7).chain(5)
const vectors = Object.values(recordVectors().records).map(({ payload, signature }) => ({
  payload: new TextEncoder().encode(payload),
  signature: parseSignature(signature),
}))
const last = good[4] as SignedRecord
const cases: readonly SignedRecord[] = [
  ...good.flatMap((record) => [record, forged(record)]),
  ...vectors,
  ...HOSTILE.map(([, , payload]) => signBytes(payload)),
  withV(last, testKey(7)),
  { ...last, signature: Uint8Array.from([...last.signature, 9]) },
  { ...last, signature: last.signature.slice(1) },
  { ...last, signature: new Uint8Array(64) },
  { ...last, signature: new Uint8Array(64).fill(255) },
]

const plain = (result: VerifiedRecord | RecordError): unknown =>
  result instanceof RecordError ? [result.code, result.message] : { ...result }

function one(engine: SignatureEngine, record: SignedRecord, recoveryByte: boolean): unknown {
  try {
    return plain(verifyRecord(engine, NETWORK, record, { recoveryByte }))
  } catch (error) {
    return plain(error as RecordError)
  }
}

function withMany(engine: SignatureEngine, verdicts?: readonly boolean[]): SignatureEngine {
  return {
    ...engine,
    verify: () => {
      throw new Error('verifyMany is there for that.')
    },
    verifyMany: async (jobs, onStep) => {
      const all: boolean[] = []
      for (const { signature, digest, publicKey } of jobs) {
        await onStep(all.length)
        all.push(engine.verify(signature, digest, publicKey))
      }
      return verdicts ?? all
    },
  }
}

const engines = await allEngines()
const [native] = engines

describe.each(engines)('many records, with $name', (engine) => {
  it.each([false, true])('each get the result of verifyRecord, in order (recoveryByte: %s)', async (recoveryByte) => {
    const wanted = cases.map((record) => one(engine, record, recoveryByte))
    expect(wanted.filter((each) => !Array.isArray(each)).length).toBe(
      good.length + vectors.length + Number(recoveryByte),
    )
    const records = cases.filter(({ signature }) => signature.length === 64 || !recoveryByte)
    const wantedOfMany = cases.flatMap((record, at) => (records.includes(record) ? [wanted[at]] : []))
    const step = (): Promise<void> => Promise.resolve()
    const singly = await verifyRecords(engine, NETWORK, cases, { recoveryByte }, step)
    expect(singly.map(plain)).toEqual(wanted)
    const many = await verifyRecords(withMany(engine), NETWORK, records, { recoveryByte }, step)
    expect(many.map(plain)).toEqual(wantedOfMany)
  })
})

describe('an engine that verifies many', () => {
  it('cannot pass a record by giving no verdict on it', async () => {
    for (const verdicts of [[], [true], [true, true, true, true]]) {
      const engine = withMany(native, verdicts)
      const results = await verifyRecords(engine, NETWORK, good, { recoveryByte: false }, () => Promise.resolve())
      expect(results.map((result) => !(result instanceof RecordError))).toEqual(
        good.map((_, at) => at < verdicts.length),
      )
    }
  })

  it('reports how many are verified, and ends where that throws', async () => {
    const steps: number[] = []
    const onStep = (done: number): Promise<void> => Promise.resolve(void steps.push(done))
    const badFirst = [...HOSTILE.slice(0, 2).map(([, , payload]) => signBytes(payload)), ...good]
    await verifyRecords(withMany(native), NETWORK, badFirst, { recoveryByte: false }, onStep)
    expect(steps).toEqual([0, 1, 2, 2, 2, 2, 2, 2, 3, 4, 5, 6])
    const stop = new Error('stop')
    const ended = verifyRecords(withMany(native), NETWORK, good, { recoveryByte: false }, (done) =>
      done < 3 ? Promise.resolve() : Promise.reject(stop),
    )
    await expect(ended).rejects.toBe(stop)
  })
})
