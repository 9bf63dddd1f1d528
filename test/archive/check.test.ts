import { nodePlatform } from '../../src/archive/node.ts'
import { gzipSync } from 'node:zlib'
import { pino } from 'pino'
import { describe, expect, it } from 'vitest'

import { checkArchive } from '../../src/archive/check.ts'
import { foldRecords } from '../../src/state/fold.ts'
import { selectEngine } from '../../src/verify/select-engine.ts'
import { createVerifyService } from '../../src/verify/verify-service.ts'
import type { TestRecord } from '../oracle/signing.ts'
import { entry, Writer } from '../store/writer.ts'
import { archiveOf, chunksOf, CREATED_AT, joined, linesOf } from './archives.ts'

const engine = await selectEngine()
const logger = pino({ level: 'silent' })

function check(bytes: Uint8Array, network?: string) {
  const networks: string[] = []
  const checked = checkArchive(nodePlatform, {
    chunks: chunksOf(bytes),
    verifierFor(name) {
      networks.push(name)
      return createVerifyService({ engine, logger }, { network: name, workers: 0 })
    },
    ...(network === undefined ? {} : { network }),
  })
  return checked.then((report) => ({ ...report, networks }))
}

/** Two avatars: one with a fork, a gap and history below a snapshot, one plain. */
function histories(): { alice: Writer; bob: Writer; records: TestRecord[] } {
  const [alice, bob] = [new Writer(1), new Writer(2)]
  const chain = alice.chain(5)
  const part = alice.part(6, [entry({ big: 1 })])
  const base = alice.snapshot([chain[4]!], [entry({ a: 1 })], [part.id])
  const left = alice.patch([base], { left: 1 })
  const right = alice.patch([base], { right: 1 })
  const waiting = alice.patch([{ counter: 9, id: `0x${'9'.repeat(64)}` }], { late: 1 })
  return { alice, bob, records: [...chain, part, base, left, right, waiting, ...bob.chain(3)] }
}

describe('checking an archive', () => {
  it('says of each avatar what its records fold to', async () => {
    const { alice, bob, records } = histories()
    const bytes = await archiveOf(records, { history: true })
    const report = await check(gzipSync(bytes))
    expect(report).toMatchObject({
      network: 'main',
      created_at: CREATED_AT,
      compressed: true,
      records: 13,
      valid: 13,
      invalid: 0,
      duplicate: 0,
      bytes: bytes.length,
      trailer: 'good',
      sound: true,
      complete: false,
      avatars: 2,
      pending: 1,
      missing: 1,
      superseded: 5,
      forked: 1,
      unjudged: 0,
      networks: ['main'],
    })
    for (const { avatar, state, records: count, bytes: size } of report.shown) {
      const own = records.filter(({ body }) => body.avatar === avatar)
      const fold = foldRecords(avatar, own)
      expect(state).toEqual({
        head: fold.head,
        tips: fold.tips.map(({ counter, id }) => ({ counter, id })),
        tips_total: fold.tips.length,
        base: fold.base === null ? null : { counter: fold.base.counter, id: fold.base.id },
        digest: fold.digest,
        pending: fold.pending,
        missing: { total: fold.missing.length, ids: fold.missing },
        live: fold.live,
      })
      expect(count).toBe(own.length)
      expect(size).toBe(own.reduce((sum, { payload }) => sum + payload.length + 64, 0))
    }
    expect(report.shown.map(({ avatar }) => avatar)).toEqual([alice.avatar, bob.avatar].sort())
  })

  it('calls an archive complete where nothing is missing', async () => {
    const report = await check(await archiveOf(new Writer(1).chain(700)))
    expect(report).toMatchObject({ records: 700, sound: true, complete: true })
    expect(report.shown[0]?.state).toMatchObject({ head: 700, tips_total: 1, live: 700 })
    expect(await check(await archiveOf([]))).toMatchObject({ records: 0, avatars: 0, sound: true, complete: true })
  })

  it('names every invalid record, and counts none of them', async () => {
    const { bob, records } = histories()
    const lines = linesOf(await archiveOf(records.filter(({ body }) => body.avatar === bob.avatar)))
    const report = await check(
      joined([lines[0]!, lines[1]!, lines[2]!.replace('\\"k1\\":1', '\\"k1\\":2'), ...lines.slice(3)]),
    )
    expect(report).toMatchObject({ records: 3, valid: 2, invalid: 1, sound: false, missing: 1, pending: 1 })
    expect(report.faults.first.map(({ line, code, record_code }) => [line, code, record_code])).toContainEqual([
      3,
      'bad_record',
      'invalid_signature',
    ])
  })

  it('judges no avatar whose records are out of order, and says so', async () => {
    const lines = linesOf(await archiveOf(new Writer(1).chain(3)))
    const report = await check(joined([lines[0]!, lines[2]!, lines[1]!, lines[3]!, lines[3]!]))
    expect(report).toMatchObject({ valid: 3, duplicate: 1, unjudged: 1, sound: false, complete: false })
    expect(report.shown).toMatchObject([{ state: null, records: 2 }])
    expect(report.faults.codes).toEqual({ out_of_order: 1, duplicate: 1, trailer_missing: 1 })
  })

  it('goes by the network of the header, or else of the first record, or the one that it is told', async () => {
    const records = new Writer(1).chain(2)
    const bytes = await archiveOf(records)
    expect(await check(joined(linesOf(bytes).slice(1)))).toMatchObject({ valid: 2, networks: ['main'], network: null })
    expect(await check(bytes, 'test')).toMatchObject({ records: 0, networks: [], sound: false })
    const relabelled = Buffer.from(bytes.toString().replace('"network":"main"', '"network":"test"'))
    expect(await check(relabelled)).toMatchObject({ valid: 0, invalid: 2, networks: ['test'] })
  })
})
