import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { RECEIPT_RATES } from '../../src/find/limits.ts'
import { createReceiptIssuer } from '../../src/find/receipt-issuer.ts'
import { verifyReceipt } from '../../src/receipt/receipt.ts'
import type { Receipt } from '../../src/receipt/receipt.ts'
import type { AvatarSummary } from '../../src/store/types.ts'
import { SIGNER, startHttpNode } from '../http/node.ts'
import type { HttpNode } from '../http/node.ts'
import { newKey, postRecords, signedPatch, signedSnapshot } from '../http/writer.ts'

let node: HttpNode
beforeAll(async () => {
  node = await startHttpNode()
})
afterAll(() => node.close())

async function receiptOf(avatar: string): Promise<Receipt> {
  const { status, body } = await node.json(`/v2/avatars/${avatar}/receipt`)
  expect(status).toBe(200)
  return body as Receipt
}

describe('GET /v2/avatars/{avatar}/receipt', () => {
  it('states what the avatar document shows, signed by the node', async () => {
    const key = newKey()
    const first = signedPatch(key)
    const forks = [signedPatch(key, { prev: [first.citation] }), signedPatch(key, { prev: [first.citation] })]
    const lost = signedPatch(key, { prev: [first.citation] })
    const waiting = signedPatch(key, { prev: [lost.citation] })
    await postRecords(node, [first, ...forks, waiting])
    const before = Math.floor(Date.now() / 1000)
    const receipt = await receiptOf(key.avatar)
    const { body } = await node.json(`/v2/avatars/${key.avatar}`)
    expect(receipt).toEqual({
      avatar: key.avatar,
      network: 'main',
      head: body.head,
      id: forks.map(({ id }) => id).toSorted()[1],
      records: 4,
      digest: body.digest,
      time: expect.any(Number),
      peer_id: SIGNER.peerId,
      signature: expect.any(String),
    })
    expect(receipt.time).toBeGreaterThanOrEqual(before)
    expect(receipt.time).toBeLessThanOrEqual(Date.now() / 1000)
    expect(verifyReceipt(receipt)).toBe(true)
  })

  it('names the base where no patch is above it', async () => {
    const key = newKey()
    const first = signedPatch(key)
    const snapshot = signedSnapshot(key, [first.citation], [])
    await postRecords(node, [first, snapshot])
    const { head, id, records } = await receiptOf(key.avatar)
    expect([head, id, records]).toEqual([2, snapshot.id, 1])
  })

  it('names no record where none is visible', async () => {
    const key = newKey()
    await postRecords(node, [signedPatch(key, { prev: [signedPatch(key).citation] })])
    const receipt = await receiptOf(key.avatar)
    expect([receipt.head, receipt.id, receipt.records]).toEqual([0, null, 1])
    expect(verifyReceipt(receipt)).toBe(true)
  })

  it('takes any form of the avatar, is not cached, and knows nothing of strangers', async () => {
    const key = newKey()
    await postRecords(node, [signedPatch(key)])
    const { avatar } = await receiptOf(key.uncompressed)
    expect(avatar).toBe(key.avatar)
    const { headers } = await node.json(`/v2/avatars/${key.avatar}/receipt`)
    expect(headers.get('cache-control')).toBe('no-store')
    expect(await node.json(`/v2/avatars/${newKey().avatar}/receipt`)).toMatchObject({
      status: 404,
      body: { code: 'unknown_avatar' },
    })
    expect(await node.json('/v2/avatars/nobody/receipt')).toMatchObject({
      status: 400,
      body: { code: 'invalid_avatar' },
    })
  })
})

it('a host that asks for too many gets 429, others are served', async () => {
  const receipts = { perKey: { burst: 4, refillMs: 60_000 }, total: { burst: 100, refillMs: 60_000 }, reserve: 10 }
  const own = await startHttpNode({ receiptRates: receipts })
  try {
    const avatars = Array.from({ length: 6 }, () => newKey())
    await postRecords(
      own,
      avatars.map((key) => signedPatch(key)),
    )
    const ask = (at: number, client: string) =>
      own.json(`/v2/avatars/${avatars[at]!.avatar}/receipt`, { headers: { 'x-forwarded-for': client } })
    const statuses: number[] = []
    for (const at of avatars.keys()) statuses.push((await ask(at, '192.0.2.1')).status)
    expect(statuses).toEqual([200, 200, 200, 200, 429, 429])
    const refused = await ask(5, '192.0.2.1')
    expect(refused).toMatchObject({ status: 429, body: { code: 'too_many_requests' } })
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect((await ask(5, '192.0.2.2')).status).toBe(200)
  } finally {
    await own.close()
  }
})

describe('the issuer of receipts', () => {
  const AVATAR = newKey().avatar
  const ANYBODY = { key: '192.0.2.1' }
  const DIGEST = 'ab'.repeat(32)

  /** An issuer over a store whose avatar has `head` patches, with a clock and a count of signatures. */
  function issuer(state: { head: number; nowMs: number; onRead?: () => void }) {
    const signed = { count: 0 }
    const receipts = createReceiptIssuer(
      {
        store: {
          summary: (avatar) => {
            const { head } = state
            state.onRead?.()
            const tips = [{ counter: head, id: `0x${'12'.repeat(32)}` as const }]
            const summary = { avatar, head, tips, records: head, digest: DIGEST } as Partial<AvatarSummary>
            return Promise.resolve(summary as AvatarSummary)
          },
        },
        clock: { now: () => state.nowMs },
        signer: {
          peerId: SIGNER.peerId,
          sign: (bytes) => {
            signed.count += 1
            return SIGNER.sign(bytes)
          },
        },
      },
      { network: 'main', rates: RECEIPT_RATES },
    )
    return { receipts, signed }
  }

  it('signs one state once a second, however often it is asked', async () => {
    const state = { head: 1, nowMs: 5000 }
    const { receipts, signed } = issuer(state)
    const all = await Promise.all(Array.from({ length: 50 }, () => receipts.issue(AVATAR, ANYBODY)))
    expect(signed.count).toBe(1)
    expect(new Set(all).size).toBe(1)
    state.nowMs = 6000
    expect((await receipts.issue(AVATAR, ANYBODY))?.time).toBe(6)
    state.head = 2
    expect((await receipts.issue(AVATAR, ANYBODY))?.head).toBe(2)
    expect(signed.count).toBe(3)
  })

  it('names the second in which it has read, not one in which the state was another', async () => {
    const state = { head: 1, nowMs: 5999, onRead: () => {} }
    const { receipts } = issuer(state)
    let reads = 0
    state.onRead = () => {
      reads += 1
      if (reads > 1) return
      // While the first read is under way the second ends, and the avatar moves on.
      state.nowMs = 6000
      state.head = 2
    }
    const receipt = await receipts.issue(AVATAR, ANYBODY)
    expect([receipt?.time, receipt?.head, reads]).toEqual([6, 2, 2])
  })

  it('never goes back in time, though its clock does', async () => {
    const state = { head: 1, nowMs: 9000 }
    const { receipts } = issuer(state)
    expect((await receipts.issue(AVATAR, ANYBODY))?.time).toBe(9)
    state.nowMs = 4000
    state.head = 2
    expect((await receipts.issue(AVATAR, ANYBODY))?.time).toBe(9)
  })

  it('says that it is busy rather than give a time that may be wrong', async () => {
    const state = { head: 1, nowMs: 1000, onRead: () => {} }
    const { receipts } = issuer(state)
    state.onRead = () => void (state.nowMs += 1000)
    await expect(receipts.issue(AVATAR, ANYBODY)).rejects.toMatchObject({ code: 'busy', retryS: 1 })
  })
})
