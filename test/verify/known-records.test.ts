import { describe, expect, it } from 'vitest'

import type { SignatureEngine } from '../../src/record/engine.ts'
import { RecordError } from '../../src/record/errors.ts'
import type { SignedRecord } from '../../src/record/types.ts'
import { verifyRecord } from '../../src/record/verify.ts'
import type { ReadStored } from '../../src/verify/known-records.ts'
import { KnownRecords } from '../../src/verify/known-records.ts'
import { selectEngine } from '../../src/verify/select-engine.ts'
import { createVerifyService } from '../../src/verify/verify-service.ts'
import { forged, withV } from '../ingest/door.ts'
import { testKey } from '../oracle/signing.ts'
import { HOSTILE } from '../record/hostile.ts'
import { NETWORK, signBytes } from '../record/fixtures.ts'
import { Writer } from '../store/writer.ts'

const engine = await selectEngine()
const BETWEEN_NODES = { recoveryByte: false }
const BY_HTTP = { recoveryByte: true }

function service(stored?: ReadStored) {
  const checks = { count: 0 }
  const counting: SignatureEngine = {
    ...engine,
    verify(...args) {
      checks.count += 1
      return engine.verify(...args)
    },
    recover(...args) {
      checks.count += 1
      return engine.recover(...args)
    },
  }
  const logger = { warn: () => undefined, error: () => undefined }
  const components = { engine: counting, logger, ...(stored === undefined ? {} : { stored }) }
  return { verifier: createVerifyService(components, { network: NETWORK, workers: 0 }), checks }
}

function two(seed: number): [SignedRecord, SignedRecord] {
  const writer = new Writer(seed)
  return [writer.patch([]), writer.patch([])]
}

function verdictOf(record: SignedRecord, options: { recoveryByte: boolean }): unknown {
  try {
    return { ...verifyRecord(engine, NETWORK, record, options) }
  } catch (error) {
    return (error as RecordError).code
  }
}

const plain = (result: object): unknown => (result instanceof RecordError ? result.code : { ...result })

describe('a record that was verified', () => {
  it('is not verified again, alone or among others, and comes out the same', async () => {
    const { verifier, checks } = service()
    const [record, other] = two(1)
    const first = await verifier.verify([record], BETWEEN_NODES)
    expect(checks.count).toBe(1)
    for (let turn = 0; turn < 50; turn += 1) {
      expect(await verifier.verify([record, record], BETWEEN_NODES)).toEqual([...first, ...first])
    }
    expect(checks.count).toBe(1)
    const mixed = await verifier.verify([record, other, record], BETWEEN_NODES)
    expect(mixed.map(plain)).toEqual([record, other, record].map((each) => verdictOf(each, BETWEEN_NODES)))
    expect(checks.count).toBe(2)
  })

  it('vouches for no other signature and for no other payload', async () => {
    const { verifier } = service()
    const [record, other] = two(2)
    const lies = [
      forged(record),
      { payload: other.payload, signature: record.signature },
      { payload: Uint8Array.from([...record.payload, 0x20]), signature: record.signature },
      { payload: record.payload, signature: new Uint8Array(0) },
      { payload: record.payload, signature: record.signature.slice(0, 63) },
    ]
    await verifier.verify([record, other], BETWEEN_NODES)
    for (const options of [BETWEEN_NODES, BY_HTTP]) {
      const results = await verifier.verify([...lies, record], options)
      expect(results.map(plain)).toEqual([...lies, record].map((each) => verdictOf(each, options)))
      expect(results.slice(0, -1).every((result) => result instanceof RecordError)).toBe(true)
    }
  })

  it('with v is known with that v alone, and only where v may be given', async () => {
    const { verifier, checks } = service()
    const key = testKey(3)
    const record = new Writer(3).patch([])
    const long = withV(record, key)
    const flipped = { ...long, signature: Uint8Array.from(long.signature) }
    flipped.signature[64] = 55 - (long.signature[64] ?? 0)
    await verifier.verify([long], BY_HTTP)
    const before = checks.count
    const known = await verifier.verify([long, record], BY_HTTP)
    expect(known.map(plain)).toEqual([verdictOf(record, BETWEEN_NODES), verdictOf(record, BETWEEN_NODES)])
    expect(checks.count).toBe(before)
    expect((await verifier.verify([flipped], BY_HTTP)).map(plain)).toEqual(['wrong_recovery'])
    expect((await verifier.verify([long], BETWEEN_NODES)).map(plain)).toEqual(['invalid_signature'])
  })

  it('gets the verdict of verifyRecord however good and bad ones are mixed and repeated', async () => {
    const { verifier } = service()
    const good = new Writer(4).chain(20)
    const bad = [...good.map(forged), ...HOSTILE.slice(0, 20).map(([, , payload]) => signBytes(payload))]
    const all = [...good, ...bad]
    for (let turn = 0; turn < 4; turn += 1) {
      const records = all.map((_, at) => all[(at * 7 + turn * 13) % all.length] as SignedRecord)
      const results = await verifier.verify(records, BETWEEN_NODES)
      expect(results.map(plain)).toEqual(records.map((each) => verdictOf(each, BETWEEN_NODES)))
    }
  })
})

describe('what is remembered', () => {
  it('is bounded; a record that is used again stays', async () => {
    const known = new KnownRecords((bytes) => engine.keccak256(bytes), undefined, 2)
    const records = new Writer(5).chain(3)
    const note = (at: number): void => {
      const record = records[at] as SignedRecord
      known.note(record, verifyRecord(engine, NETWORK, record, BETWEEN_NODES))
    }
    for (const at of [0, 1]) note(at)
    await known.find([records[0] as SignedRecord], false)
    note(2)
    const found = await known.find(records, false)
    expect(found.map((record) => record !== undefined)).toEqual([true, false, true])
  })
})

describe('a record that the store has', () => {
  const records = new Writer(6).chain(200)
  const byId = new Map(records.map((record) => [record.id, record]))
  const idOf = (id: Uint8Array) => `0x${Buffer.from(id).toString('hex')}` as const

  it('is soon not verified any more, where records are repeated', async () => {
    const { verifier, checks } = service(async (ids) => ids.flatMap((id) => byId.get(idOf(id)) ?? []))
    for (const record of records) {
      expect((await verifier.verify([record], BETWEEN_NODES)).map(plain)).toEqual([verdictOf(record, BETWEEN_NODES)])
    }
    expect(checks.count).toBeLessThan(records.length / 4)
    const lies = records.map(forged)
    const results = await verifier.verify(lies, BETWEEN_NODES)
    expect(new Set(results.map(plain))).toEqual(new Set(['invalid_signature']))
  })

  it('is seldom looked for where records are new, and never wrongly found', async () => {
    let looked = 0
    const { verifier, checks } = service(async (ids) => {
      looked += ids.length
      return []
    })
    await verifier.verify(records, BETWEEN_NODES)
    expect(checks.count).toBe(records.length)
    expect(looked).toBeLessThanOrEqual(Math.ceil(records.length / 16))
  })

  it('is looked for less and less where all are new, and soon found again once some are repeated', async () => {
    let looked = 0
    const known = new KnownRecords(
      (bytes) => engine.keccak256(bytes),
      async (ids) => {
        looked += ids.length
        return ids.flatMap((id) => byId.get(idOf(id)) ?? [])
      },
    )
    const unknown = Array.from({ length: 4_096 }, (_, at) => {
      const signature = new Uint8Array(64)
      new DataView(signature.buffer).setUint32(0, at)
      return { payload: Uint8Array.of(at), signature }
    })
    for (const record of unknown) expect(await known.find([record], false)).toEqual([undefined])
    // 64 look-ups in the first 1,024, and one in 64 from then on.
    expect(looked).toBe(64 + (4_096 - 1_024) / 64)
    let found = 0
    for (const record of records) if ((await known.find([record], false))[0] !== undefined) found += 1
    expect(found).toBeGreaterThan(records.length / 3)
  })

  it('is verified where the store cannot be read', async () => {
    const { verifier } = service(() => Promise.reject(new Error('the disk is gone')))
    const results = await verifier.verify(records, BETWEEN_NODES)
    expect(results.map(plain)).toEqual(records.map((each) => verdictOf(each, BETWEEN_NODES)))
  })
})
