import fc from 'fast-check'
import { MemoryLevel } from 'memory-level'
import { expect, test, vi } from 'vitest'
import { privateKeySigner } from '../../src/client/signers.ts'
import { createWriteQueue } from '../../src/client/write-queue.ts'
import type { Disk } from '../../src/replica/disk.ts'
import { levelDisk } from '../../src/replica/level-disk.ts'
import { createReplica } from '../../src/replica/replica.ts'
import type { TabMessage, Tabs } from '../../src/replica/tabs.ts'
import type { Replica, ReplicaOptions } from '../../src/replica/types.ts'
import { selectEngine } from '../../src/verify/select-engine.ts'
import { startProxy } from '../client/proxy.ts'
import { startHttpNode } from '../http/node.ts'
import { writeBody } from '../support/api.ts'
import { testKey, type TestRecord } from '../oracle/signing.ts'
import { PROPERTY_TIMEOUT_MS, propertyRuns } from '../support/runs.ts'
import { Writer } from '../store/writer.ts'
import { give } from './harness.ts'
import { WAIT } from '../support/until.ts'

/*
 * Several tabs on one store, in one process: locks and messages as browsers have them, except that a message may be lost, as
 * it is to a tab that is frozen. The same in a real Chromium: test/browser/replica.test.ts.
 */

const engine = await selectEngine()
const signer = privateKeySigner(testKey(3).secretKey)
const { avatar } = signer

interface Origin {
  /** @param hears whether messages of others reach it */
  open(options?: ReplicaOptions, hears?: () => boolean): Promise<Replica>
  close(): Promise<void>
}

function originOf(): Origin {
  const db = new MemoryLevel<string, string>()
  const disk: Disk = { ...levelDisk(db), close: () => Promise.resolve() }
  const locks = createWriteQueue()
  const tabs = new Map<Tabs, { readonly hears: () => boolean; listener: (message: TabMessage) => void }>()
  const open: Replica[] = []
  return {
    async open(options = {}, hears = () => true) {
      const tab: Tabs = {
        alone: false,
        exclusive: locks,
        lead: (run, signal) => locks('leader', () => (signal.aborted ? Promise.resolve() : run())),
        tell(message) {
          for (const [other, { hears, listener }] of tabs) {
            if (other !== tab && hears()) setTimeout(listener, 0, structuredClone(message))
          }
        },
        listen: (listener) => void tabs.set(tab, { hears, listener }),
        close: () => void tabs.delete(tab),
      }
      const replica = await createReplica({ disk, tabs: tab }, { engine, ...options })
      open.push(replica)
      return replica
    },
    async close() {
      // Whoever waits for the lead gets it when the one before has gone.
      await Promise.all(open.map((replica) => replica.close()))
      await db.close()
    },
  }
}

async function within(run: (origin: Origin) => Promise<void>): Promise<void> {
  const origin = originOf()
  try {
    await run(origin)
  } finally {
    await origin.close()
  }
}

const TABS = 3
const tabIndex = fc.nat(TABS - 1)
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ what: fc.constant('put' as const), tab: tabIndex }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('import' as const), tab: tabIndex }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('reload' as const), tab: tabIndex }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('wait' as const), tab: tabIndex }) },
)

test(
  'tabs that write at once chain, and lose nothing, though messages are lost',
  { timeout: PROPERTY_TIMEOUT_MS },
  () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 3, maxLength: 24 }),
        fc.infiniteStream(fc.boolean()),
        async (steps, luck) => {
          await within(async (origin) => {
            const hears = (): boolean => luck.next().value === true
            const tabs: Replica[] = []
            for (let at = 0; at < TABS; at++) tabs.push(await origin.open({ avatars: [avatar] }, hears))
            const [elsewhere, expected] = [new Writer(3), new Map<string, number>()]
            let given = 0
            const work: Promise<unknown>[] = []
            for (const [n, { what, tab }] of steps.entries()) {
              const replica = tabs[tab]!
              if (what === 'put') {
                expected.set(`k${n}`, n)
                work.push(replica.put({ signer, patch: { [`k${n}`]: n } }))
              } else if (what === 'import') {
                given += 1
                work.push(give(replica, [elsewhere.patch([], { [`g${n}`]: n })]))
              } else if (what === 'wait') await Promise.all(work)
              else {
                await Promise.all(work)
                await replica.close()
                tabs[tab] = await origin.open({}, hears)
              }
            }
            await Promise.all(work)
            const fresh = await origin.open()
            const state = fresh.state(avatar)
            expect(fresh.waiting()).toHaveLength(expected.size)
            expect(state.records).toBe(expected.size + given)
            expect(fresh.get(avatar) ?? {}).toEqual(Object.fromEntries(expected))
            // Own writes fork from nothing but what came from elsewhere and was not cited yet.
            expect(state.tips.length).toBeLessThanOrEqual(1 + given)
            if (given === 0 && expected.size > 0) expect(state.tips).toHaveLength(1)
            // Who writes sees all, whatever it has missed.
            for (const replica of tabs) await replica.put({ signer, patch: { last: 1 } })
            expect(tabs.at(-1)?.state(avatar).records).toBe(state.records + TABS)
          })
        },
      ),
      { numRuns: propertyRuns(40) },
    ),
)

test('another tab takes over when the one that syncs is closed, and sends what both have written', async () => {
  const node = await startHttpNode()
  try {
    await within(async (origin) => {
      const options = { nodes: [node.url('')], signers: [signer] }
      const one = await origin.open({ ...options, avatars: [avatar] })
      await vi.waitFor(() => expect(one.leads).toBe(true), WAIT)
      const two = await origin.open(options)
      await two.put({ signer, patch: { two: 2 } })
      await vi.waitFor(() => expect(two.waiting()).toEqual([]), WAIT)
      expect(two.leads).toBe(false)
      await vi.waitFor(() => expect(two.info(avatar).staleSince).toBeNull(), WAIT)
      await one.put({ signer, patch: { one: 1 } })
      await one.close()
      await vi.waitFor(() => expect(two.leads).toBe(true), WAIT)
      await two.sync()
      expect(two.waiting()).toEqual([])
      expect(two.get(avatar)).toEqual({ one: 1, two: 2 })
      const { body } = await node.json(`/v2/avatars/${avatar}`)
      expect(body).toMatchObject({ head: 2, digest: two.info(avatar).digest })
    })
  } finally {
    await node.close()
  }
})

test('what a snapshot superseded is signed anew by the tab that has the signer, though another one syncs', async () => {
  const node = await startHttpNode()
  const proxy = await startProxy(() => node.url(''))
  try {
    await within(async (origin) => {
      const options = { nodes: [proxy.url] }
      const chain = new Writer(3).chain(2)
      const far = { counter: 40, id: `0x${'ab'.repeat(32)}` } as const
      const base = new Writer(3).snapshot([far])
      const post = (records: readonly TestRecord[]) =>
        node.json('/v2/records', { method: 'POST', body: writeBody(records) })
      await post(chain)
      const one = await origin.open({ ...options, avatars: [avatar] })
      await vi.waitFor(() => expect(one.state(avatar).records).toBe(2), WAIT)
      const two = await origin.open(options)
      await vi.waitFor(() => expect(two.state(avatar).records).toBe(2), WAIT)
      const told: string[] = []
      one.on(({ type }) => told.push(type))
      proxy.tell(({ method }) => (method === 'POST' ? { status: 503, body: '{}' } : undefined))
      await Promise.all([1, 2].map((n) => two.put({ signer, patch: { [`w${n}`]: n } })))
      await post([base])
      await vi.waitFor(() => expect(told.filter((type) => type === 'conflict')).toHaveLength(2), WAIT)
      proxy.tell(undefined)
      await vi.waitFor(() => expect(one.get(avatar)).toEqual({ w1: 1, w2: 2 }), WAIT)
      await vi.waitFor(() => expect(two.waiting()).toEqual([]), WAIT)
      expect(two.get(avatar)).toEqual({ w1: 1, w2: 2 })
      const { body } = await node.json(`/v2/avatars/${avatar}`)
      expect(body).toMatchObject({ base: { id: base.id }, pending: 0, digest: one.info(avatar).digest })
    })
  } finally {
    await proxy.close()
    await node.close()
  }
})

test('an avatar that is let go, and taken in again, while a tab hears nothing of it', async () => {
  await within(async (origin) => {
    let isDeaf = false
    const one = await origin.open({ avatars: [avatar] })
    const two = await origin.open({}, () => !isDeaf)
    const chain = new Writer(3).chain(5)
    await give(one, chain)
    await vi.waitFor(() => expect(two.state(avatar).records).toBe(5), WAIT)
    isDeaf = true
    await one.unfollow(avatar)
    await one.follow(avatar)
    await give(one, chain.slice(0, 2))
    isDeaf = false
    // It finds out as soon as it does anything.
    await expect(two.put({ signer, patch: { n: 1 } })).rejects.toMatchObject({ code: 'not_followed' })
    await give(one, chain.slice(2, 3))
    await vi.waitFor(() => expect(two.state(avatar).records).toBe(3), WAIT)
    await two.put({ signer, patch: { n: 1 } })
    await vi.waitFor(() => expect(one.get(avatar)).toEqual({ n: 1 }), WAIT)
  })
})
