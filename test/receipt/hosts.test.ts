import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { beforeAll, describe, expect, it } from 'vitest'

import { askHosts, readReceipt, receiptsOf, type Host } from '../../src/receipt/hosts.ts'
import { findContradictions } from '../../src/receipt/contradictions.ts'
import { signReceipt, type Receipt, type ReceiptFields } from '../../src/receipt/receipt.ts'
import type { Avatar, RecordId } from '../../src/record/types.ts'

const NOW_SECONDS = 1_790_000_000
const AVATAR: Avatar = '0x02125f1d96b192e47cea6fd392981b15acf131918f4c53f9ec74783539c9409212'
const OTHER: Avatar = `0x03${'5f'.repeat(32)}`
const id = (digit: string): RecordId => `0x${digit.repeat(64)}`

type Sign = (changes?: Partial<ReceiptFields>) => Promise<Receipt>
/** Two peers, each with a key of its own. */
let one: Sign
let two: Sign
beforeAll(async () => {
  const peer = async (): Promise<Sign> => {
    const key = await generateKeyPair('Ed25519')
    const peer_id = peerIdFromPrivateKey(key).toString()
    const fields = {
      avatar: AVATAR,
      digest: 'aa'.repeat(32),
      head: 1,
      id: id('1'),
      network: 'main',
      peer_id,
      records: 1,
    }
    return async (changes = {}) => await signReceipt({ ...fields, time: NOW_SECONDS, ...changes }, key)
  }
  ;[one, two] = [await peer(), await peer()]
})

/** A host that gives these receipts one after the other, the last one again and again, and counts how often it is read. */
function host(url: string, receipts: readonly (Receipt | string | undefined)[]): Host & { reads: number } {
  let asked = 0
  return {
    url,
    reads: 0,
    receipt: () => Promise.resolve(receipts[Math.min(asked++, receipts.length - 1)]),
    records() {
      this.reads++
      return Promise.resolve([])
    },
  }
}

const ask = (hosts: readonly Host[], network?: string) =>
  askHosts(AVATAR, hosts, { now: () => NOW_SECONDS, ...(network === undefined ? {} : { network }) })

describe('hosts', () => {
  it('that sign for one state are equal, and their records are not read', async () => {
    const hosts = [host('a', [await one()]), host('b', [await two({ time: NOW_SECONDS - 600 })])]
    const { verdict, head, hosts: reports, contradictions } = await ask(hosts)
    expect([verdict, head, contradictions]).toEqual(['equal', 1, []])
    expect(reports.map(({ node, state, problems }) => [node, state, problems])).toEqual([
      ['a', 'equal', []],
      ['b', 'equal', []],
    ])
    expect(hosts.map(({ reads }) => reads)).toEqual([0, 0])
  })

  it.each([
    [-601, 'the time of its receipt is 601 s before the time here; the receipt is old, or a clock is wrong'],
    [3600, 'the time of its receipt is 3600 s after the time here; the receipt is old, or a clock is wrong'],
  ])('whose receipt is %i s off have failed', async (offSeconds, problem) => {
    const late = await two({ time: NOW_SECONDS + offSeconds })
    const { verdict, hosts } = await ask([host('a', [await one()]), host('b', [late])])
    expect([verdict, hosts[1]?.state, hosts[1]?.problems, hosts[1]?.receipt]).toEqual([
      'equal',
      'failed',
      [problem],
      late,
    ])
  })

  it('of another network have failed: than the one asked for, or than the first host is of', async () => {
    const hosts = async () => [host('a', [await one()]), host('b', [await two({ network: 'test' })])]
    const first = await ask(await hosts())
    expect(first.hosts.map(({ state }) => state)).toEqual(['equal', 'failed'])
    expect(first.hosts[1]?.problems).toEqual(['it belongs to the network "test", not to "main"'])
    const named = await ask(await hosts(), 'test')
    expect(named.hosts.map(({ state }) => state)).toEqual(['failed', 'equal'])
    expect(named.hosts[0]?.problems).toEqual(['it belongs to the network "main", not to "test"'])
  })

  it('without a receipt are told of, and without any there is no verdict', async () => {
    const { verdict, head, hosts } = await ask([host('a', ['it is silent']), host('b', [undefined])])
    expect([verdict, head]).toEqual([null, 0])
    expect(hosts.map(({ problems }) => problems)).toEqual([['it is silent'], ['it has no records of this avatar']])
    expect((await ask([])).verdict).toBeNull()
  })

  it('that do not hand out what they signed for contradict themselves', async () => {
    const hosts = [host('a', [await one()]), host('b', [await two({ digest: 'bb'.repeat(32), head: 2, id: id('2') })])]
    const { verdict, hosts: reports } = await ask(hosts)
    expect([verdict, ...reports.map(({ state }) => state)]).toEqual(['contradictory', 'contradictory', 'contradictory'])
    for (const { problems } of reports) expect(problems.join()).toContain('do not give the state that it signed')
  })

  it('that let the avatar go, fail, or move on while they are read have failed', async () => {
    const digests = ['b1', 'b2', 'b3', 'b4', 'b5', 'b6', 'b7'].map((digits) => digits.repeat(32))
    const moving = await Promise.all(digests.map((digest, at) => two({ digest, time: NOW_SECONDS + at })))
    const racing = host('racing', moving)
    const gone = host('gone', [await one({ digest: 'cc'.repeat(32) }), undefined])
    const broken = host('broken', [await one({ digest: 'dd'.repeat(32) }), 'its line is cut'])
    const { hosts } = await ask([racing, gone, broken])
    expect(hosts.map(({ state, problems }) => [state, ...problems])).toEqual([
      ['failed', 'the avatar changes faster than its records can be read from there; try again'],
      ['failed', 'it signed a receipt, and shortly after says that it has no records of this avatar'],
      ['failed', 'its line is cut'],
    ])
    expect([racing.reads, gone.reads, broken.reads]).toEqual([5, 1, 1])
  })

  it('that contradict themselves while they are read leave the proof with what is kept', async () => {
    const lie = await two({ digest: 'b1'.repeat(32), head: 9, id: id('9') })
    const after = await two({ digest: 'b2'.repeat(32), head: 5, id: id('5'), time: NOW_SECONDS + 1 })
    const last = await two({ digest: 'b2'.repeat(32), head: 5, id: id('5'), time: NOW_SECONDS + 2 })
    const honest = await one()
    const report = await ask([host('a', [honest]), host('b', [lie, after, last])])
    expect(report.contradictions.map(({ rule }) => rule)).toEqual(['place_fell', 'place_fell'])
    const kept = receiptsOf(report)
    expect(kept).toHaveLength(4)
    expect(new Set(kept)).toEqual(new Set([honest, lie, after, last]))
    expect(findContradictions(kept)).toEqual(report.contradictions)
  })

  it('that are asked no longer: what ends the asking ends all of it', async () => {
    const ended = { ...host('b', []), receipt: () => Promise.reject(new Error('ended')) }
    await expect(ask([host('a', [await one()]), ended])).rejects.toThrow('ended')
  })
})

describe('a receipt that a host gave', () => {
  it('is taken where it is of the avatar and signed by its peer', async () => {
    const receipt = await one()
    expect(readReceipt(AVATAR, JSON.parse(JSON.stringify(receipt)))).toEqual(receipt)
    const foreign = await one({ avatar: OTHER })
    expect(() => readReceipt(AVATAR, foreign)).toThrow('for another avatar')
    expect(() => readReceipt(AVATAR, { ...receipt, head: 2 })).toThrow('not signed by the peer')
  })
})
