import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import type { JsonObject } from '../../src/record/types.ts'
import { startHttpNode } from '../http/node.ts'
import type { HttpNode } from '../http/node.ts'
import { newKey, posted, postRecords, signedPatch, signedSnapshot } from '../http/writer.ts'
import { run } from './run.ts'

let node: HttpNode
beforeAll(async () => {
  node = await startHttpNode()
})
afterAll(() => node.close())

const log = (...args: string[]) => run(['log', ...args, '--forks', '--node', node.url('')], { cwd: '/' })
const json = async (...args: string[]) => JSON.parse((await log(...args, '--json')).out) as JsonObject

/** One line, a fork that was joined, one line, and an open fork. */
async function writeForks() {
  const key = newKey()
  const first = signedPatch(key)
  const left = signedPatch(key, { prev: [first.citation], patch: { left: 1 } })
  const right = signedPatch(key, { prev: [first.citation], patch: { right: 1 } })
  const sides = [left, right].toSorted((a, b) => (a.id < b.id ? -1 : 1))
  const join = signedPatch(key, { prev: sides.map(({ citation }) => citation) })
  const long = signedPatch(key, { prev: [join.citation], patch: { long: 1 } })
  const longer = signedPatch(key, { prev: [long.citation], patch: { longer: 1 } })
  const short = signedPatch(key, { prev: [join.citation], patch: { short: 1 } })
  await postRecords(node, [first, left, right, join, long, longer, short])
  return { key, sides, open: [...[long, short].toSorted((a, b) => (a.id < b.id ? -1 : 1)), longer], longer, short }
}

describe('log --forks', () => {
  it('gives what was written concurrently with payloads and signatures, newest fork first', async () => {
    const { key, sides, open, longer, short } = await writeForks()
    const answer = await json(key.avatar)
    expect(answer).toMatchObject({
      avatar: key.avatar,
      total: 2,
      forks: [
        { open: true, total: 3, ends: [short.citation, longer.citation] },
        { open: false, total: 2, ends: sides.map(({ citation }) => citation) },
      ],
    })
    const records = (answer['forks'] as { records: JsonObject[] }[]).map((fork) => fork.records)
    const expected = [open.toReversed(), sides.toReversed()]
    expect(records.map((each) => each.map(({ id }) => id))).toEqual(expected.map((each) => each.map(({ id }) => id)))
    expect(records.flat().map(({ payload, signature }) => ({ payload, signature }))).toEqual(
      expected.flat().map((record) => posted(record)),
    )
  })

  it('says it in words, and no more than the limit', async () => {
    const { key } = await writeForks()
    const all = await log(key.avatar)
    expect(all).toMatchObject({ code: 0, err: '' })
    expect(all.out).toContain('fork of 3 records, counters 4 to 5, 2 ends (*); open: no write has joined its ends yet')
    expect(all.out).toContain('fork of 2 records, counters 2 to 2, 2 ends (*); joined by what came after')
    expect(all.out.match(/^\*/gm)).toHaveLength(4)
    const few = await log(key.avatar, '--limit', '2')
    expect(few.out).toContain('fork of 3 records')
    expect(few.out).not.toContain('fork of 2 records')
    expect(few.err).toContain('3 older records in forks not shown')
  })

  it('knows a write that is concurrent with a snapshot', async () => {
    const key = newKey()
    const first = signedPatch(key)
    const snapshot = signedSnapshot(key, [first.citation], [])
    const beside = signedPatch(key, { prev: [first.citation] })
    await postRecords(node, [first, snapshot, beside])
    const { forks } = await json(key.avatar)
    const ids = (forks as { records: JsonObject[] }[]).map(({ records }) => records.map(({ id }) => id).toSorted())
    expect(ids).toEqual([[snapshot.id, beside.id].toSorted()])
  })

  it('says that a history is one line', async () => {
    const key = newKey()
    const first = signedPatch(key)
    await postRecords(node, [first, signedPatch(key, { prev: [first.citation] })])
    expect((await log(key.avatar)).out).toBe('Nothing was written concurrently: its visible history is one line.\n')
    expect(await json(key.avatar)).toEqual({ avatar: key.avatar, total: 0, forks: [] })
    expect((await log(newKey().avatar)).err).toContain('has nothing of')
  })
})
