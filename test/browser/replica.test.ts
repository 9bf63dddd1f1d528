import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { privateKeySigner } from '../../src/client/signers.ts'
import { newKey } from '../support/keys.ts'
import { createCluster, type Cluster, type NodeProcess } from '../support/cluster.ts'
import { openBrowser, type Pages } from './pages.ts'
import { servePage } from './replica-page.ts'
import { WAIT } from '../support/until.ts'

const WRITES = 25

let cluster: Cluster
let node: NodeProcess
let browser: Pages
let app: Awaited<ReturnType<typeof servePage>>
beforeAll(async () => {
  cluster = await createCluster()
  node = await cluster.start('home')
  app = await servePage()
  browser = await openBrowser()
})
afterAll(async () => {
  await browser.close()
  await app.close()
  await cluster.close()
})

/** A tab with the replica open; the second of a context shares the store of the first. */
async function tab(beside?: Page): Promise<Page> {
  if (beside === undefined) return await browser.open(app.url)
  const page = await beside.context().newPage()
  await page.goto(app.url)
  return page
}

async function openIn(page: Page, avatars: readonly string[] = []): Promise<void> {
  await page.waitForFunction(() => window.api !== undefined)
  await page.evaluate(
    async ([url, avatars]) => {
      window.replica = await window.api.openReplica({ location: 'app', nodes: [url], avatars })
    },
    [node.url, avatars] as const,
  )
}

const contentIn = (page: Page, avatar: string): Promise<unknown> =>
  page.evaluate((avatar) => window.replica.get(avatar), avatar)
const infoIn = (page: Page, avatar: string) => page.evaluate((avatar) => window.replica.info(avatar), avatar)

/** Writes one member after the other, all asked for at once; what it resolves to was acknowledged. */
function writeIn(page: Page, key: Uint8Array, name: string, count: number): Promise<string[]> {
  return page.evaluate(
    async ([hex, name, count]) => {
      const signer = window.api.privateKeySigner(hex)
      const puts = Array.from({ length: count }, (_, n) =>
        window.replica.put({ signer, patch: { [`${name}${n}`]: n } }),
      )
      return (await Promise.all(puts)).flatMap(({ records }) => records.map(({ id }) => id))
    },
    [Buffer.from(key).toString('hex'), name, count] as const,
  )
}

function members(...names: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    names.flatMap((name) => Array.from({ length: WRITES }, (_, n): [string, number] => [`${name}${n}`, n])),
  )
}

describe('two tabs on one store', () => {
  it('write at once and lose nothing, offline and after the tab that syncs was closed', async () => {
    const key = newKey()
    const signer = privateKeySigner(key)
    await createClient({ nodes: [node.url] }).put({ signer, patch: { first: 1 } })
    const one = await tab()
    await openIn(one, [signer.avatar])
    await vi.waitFor(async () => expect(await contentIn(one, signer.avatar)).toEqual({ first: 1 }), WAIT)
    const two = await tab(one)
    await openIn(two)
    expect(await contentIn(two, signer.avatar)).toEqual({ first: 1 })
    expect(await Promise.all([one, two].map((page) => page.evaluate(() => window.replica.leads)))).toEqual([
      true,
      false,
    ])

    await one.context().setOffline(true)
    const written = await Promise.all([writeIn(one, key, 'a', WRITES), writeIn(two, key, 'b', WRITES)])
    const all = { first: 1, ...members('a', 'b') }
    for (const page of [one, two]) {
      await vi.waitFor(async () => expect(await contentIn(page, signer.avatar)).toEqual(all), WAIT)
      expect(await infoIn(page, signer.avatar)).toMatchObject({ waiting: 2 * WRITES })
      // Each on the one before it, whichever tab wrote that.
      const state = await page.evaluate((avatar) => window.replica.state(avatar), signer.avatar)
      expect(state).toMatchObject({ head: 2 * WRITES + 1, local: true, pending: 0 })
      expect(state.tips).toHaveLength(1)
    }

    await one.close()
    await two.context().setOffline(false)
    await vi.waitFor(async () => expect(await two.evaluate(() => window.replica.leads)).toBe(true), WAIT)
    await vi.waitFor(async () => expect(await infoIn(two, signer.avatar)).toMatchObject({ waiting: 0 }), WAIT)
    const ids = await node.api.recordIds(signer.avatar)
    expect(ids).toHaveLength(2 * WRITES + 1)
    expect(written.flat().filter((id) => !ids.includes(id as `0x${string}`))).toEqual([])
    const answer = await node.api.avatar(signer.avatar)
    expect(answer?.namespaces[0]?.content).toEqual(all)
    expect(answer?.tips_total).toBe(1)
    expect(browser.complaints).toEqual([])
  })

  it('both show what comes from elsewhere, and what either wrote is sent by the one that syncs', async () => {
    const key = newKey()
    const signer = privateKeySigner(key)
    const one = await tab()
    await openIn(one, [signer.avatar])
    const two = await tab(one)
    await openIn(two)
    const [written] = await writeIn(two, key, 'x', 1)
    await vi.waitFor(async () => expect(await node.api.recordIds(signer.avatar)).toEqual([written]), WAIT)
    await vi.waitFor(async () => expect(await infoIn(two, signer.avatar)).toMatchObject({ waiting: 0 }), WAIT)
    await createClient({ nodes: [node.url] }).put({ signer, patch: { elsewhere: 1 } })
    for (const page of [one, two]) {
      await vi.waitFor(async () => expect(await contentIn(page, signer.avatar)).toEqual({ x0: 0, elsewhere: 1 }), WAIT)
      await vi.waitFor(async () => expect(await infoIn(page, signer.avatar)).toMatchObject({ staleSince: null }), WAIT)
    }
    await two.evaluate((avatar) => window.replica.unfollow(avatar), signer.avatar)
    await vi.waitFor(async () => expect(await one.evaluate(() => window.replica.avatars())).toEqual([]), WAIT)
  })

  it('a tab that is closed while it writes has lost nothing that it was acknowledged', async () => {
    const key = newKey()
    const signer = privateKeySigner(key)
    const one = await tab()
    await openIn(one, [signer.avatar])
    await one.context().setOffline(true)
    const acknowledged: string[] = []
    await one.exposeFunction('acknowledge', (id: string) => void acknowledged.push(id))
    await one.evaluate((hex) => {
      const signer = window.api.privateKeySigner(hex)
      const tell = (window as unknown as { acknowledge(id: string): Promise<void> }).acknowledge
      void (async () => {
        for (let n = 0; ; n++) {
          const { records } = await window.replica.put({ signer, patch: { [`k${n % 7}`]: n } })
          await tell(records[0]!.id)
        }
      })()
    }, Buffer.from(key).toString('hex'))
    await vi.waitFor(() => expect(acknowledged.length).toBeGreaterThan(20), WAIT)
    const two = await one.context().newPage()
    await one.close()
    await two.context().setOffline(false)
    await two.goto(app.url)
    await openIn(two)
    await two.evaluate(() => window.replica.sync())
    await vi.waitFor(async () => expect(await infoIn(two, signer.avatar)).toMatchObject({ waiting: 0 }), WAIT)
    const ids = await node.api.recordIds(signer.avatar)
    expect(acknowledged.filter((id) => !ids.includes(id as `0x${string}`))).toEqual([])
    // One more may have been on disk, and not acknowledged yet.
    expect(ids.length - acknowledged.length).toBeLessThanOrEqual(1)
    expect((await node.api.avatar(signer.avatar))?.tips_total).toBe(1)
  })
})

describe('a database that the browser closes', () => {
  /** As clearing a site's data, or evicting it, does: connections are closed, then all is gone. */
  const deleteIn = (page: Page): Promise<void> =>
    page.evaluate(
      () =>
        new Promise<void>((resolve, reject) => {
          const request = indexedDB.deleteDatabase('level-js-app')
          request.addEventListener('success', () => resolve())
          request.addEventListener('error', () => reject(new Error('not deleted')))
        }),
    )

  it('and deletes is made again from what the tabs have in memory: nothing signed is lost, and writing goes on', async () => {
    const key = newKey()
    const signer = privateKeySigner(key)
    await createClient({ nodes: [node.url] }).put({ signer, patch: { first: 1 } })
    const one = await tab()
    await openIn(one, [signer.avatar])
    await vi.waitFor(async () => expect(await contentIn(one, signer.avatar)).toEqual({ first: 1 }), WAIT)
    const two = await tab(one)
    await openIn(two)
    const three = await one.context().newPage()
    await three.goto(app.url)
    await one.context().setOffline(true)
    const written = [...(await writeIn(one, key, 'a', 3)), ...(await writeIn(two, key, 'b', 3))]
    await one.evaluate(() => {
      const events: unknown[] = []
      Object.assign(window, { events })
      window.replica.on((event) => event.type === 'restored' && events.push(event))
    })

    await deleteIn(three)
    written.push(...(await writeIn(one, key, 'c', 2)), ...(await writeIn(two, key, 'd', 2)))
    const events = await one.evaluate(
      () => (window as unknown as { events: { records: number; writes: number }[] }).events,
    )
    expect(events).toMatchObject([{ records: 1, writes: 6, lost: 0 }])

    // What is on disk now is all of it: another tab reads it with the others gone, and sends it.
    await one.close()
    await two.close()
    await openIn(three)
    const all = { first: 1, a0: 0, a1: 1, a2: 2, b0: 0, b1: 1, b2: 2, c0: 0, c1: 1, d0: 0, d1: 1 }
    expect(await contentIn(three, signer.avatar)).toEqual(all)
    await three.context().setOffline(false)
    // The first requests after that may still fail in the browser.
    await vi.waitFor(() => three.evaluate(() => window.replica.sync()), WAIT)
    await vi.waitFor(async () => expect(await infoIn(three, signer.avatar)).toMatchObject({ waiting: 0 }), WAIT)
    const ids = await node.api.recordIds(signer.avatar)
    expect(written.filter((id) => !ids.includes(id as `0x${string}`))).toEqual([])
  })

  it('and keeps, as iOS does in the background, is opened again, whatever was under way', async () => {
    const key = newKey()
    const { avatar } = privateKeySigner(key)
    const page = await browser.open(app.url)
    await page.evaluate(() => {
      const connections: IDBDatabase[] = []
      Object.assign(window, { connections })
      const original = IDBDatabase.prototype.transaction
      IDBDatabase.prototype.transaction = function transaction(...args: Parameters<typeof original>) {
        if (!connections.includes(this)) connections.push(this)
        return original.apply(this, args)
      }
    })
    await openIn(page, [avatar])
    await writeIn(page, key, 'a', 1)
    const writing = page.evaluate(async (hex) => {
      const signer = window.api.privateKeySigner(hex)
      const { connections } = window as unknown as { connections: IDBDatabase[] }
      for (let n = 0; n < 20; n++) {
        const put = window.replica.put({ signer, patch: { [`b${n}`]: n } })
        // Without an event: what a connection that died says is an error of the next transaction.
        connections.at(-1)?.close()
        await put
      }
      return connections.length
    }, Buffer.from(key).toString('hex'))
    expect(await writing).toBeGreaterThan(5)
    await page.evaluate(() => window.replica.sync())
    await vi.waitFor(async () => expect(await infoIn(page, avatar)).toMatchObject({ waiting: 0, damaged: 0 }), WAIT)
    expect(await node.api.recordIds(avatar)).toHaveLength(21)
  })
})

it.each([
  ['is seen again', 'visibilitychange'],
  ['comes back from the history', 'pageshow'],
  ['has a network again', 'online'],
])('a tab that missed what others told it catches up when it %s', async (_, event) => {
  const key = newKey()
  const { avatar } = privateKeySigner(key)
  const one = await tab()
  await openIn(one, [avatar])
  const two = await one.context().newPage()
  // As for a page that was frozen, or put away: messages come, and nobody hears them.
  await two.addInitScript(() => {
    BroadcastChannel.prototype.addEventListener = () => undefined
  })
  await two.goto(app.url)
  await openIn(two)
  await writeIn(one, key, 'n', 1)
  await vi.waitFor(async () => expect(await infoIn(one, avatar)).toMatchObject({ waiting: 0 }), WAIT)
  expect(await contentIn(two, avatar)).toBeUndefined()
  await two.evaluate((event) => {
    const target = event === 'visibilitychange' ? document : window
    target.dispatchEvent(new Event(event))
  }, event)
  await vi.waitFor(async () => expect(await contentIn(two, avatar)).toEqual({ n0: 0 }), WAIT)
})

it('archives go out of one browser and into another, compressed too', async () => {
  const key = newKey()
  const { avatar } = privateKeySigner(key)
  const one = await tab()
  await openIn(one, [avatar])
  await writeIn(one, key, 'n', 3)
  const archive = await one.evaluate(async () => {
    const chunks: number[][] = []
    for await (const chunk of window.replica.export({ gzip: true })) chunks.push([...chunk])
    return chunks.flat()
  })
  expect(archive.slice(0, 2)).toEqual([0x1f, 0x8b])
  const other = await tab()
  await other.waitForFunction(() => window.api !== undefined)
  const result = await other.evaluate(async (bytes) => {
    window.replica = await window.api.openReplica({ location: 'other' })
    async function* chunks(): AsyncGenerator<Uint8Array> {
      yield Uint8Array.from(bytes)
    }
    return await window.replica.import(chunks(), { follow: true })
  }, archive)
  expect(result).toMatchObject({ records: 3, added: 3, trailer: 'good', faults: [] })
  expect(await contentIn(other, avatar)).toEqual({ n0: 0, n1: 1, n2: 2 })
})

it('a wallet that asks a person holds up no other tab, and two that ask at once lose nothing', async () => {
  const key = newKey()
  const { avatar } = privateKeySigner(key)
  const one = await tab()
  await openIn(one, [avatar])
  const two = await tab(one)
  await openIn(two)
  const three = await tab(one)
  await openIn(three)
  const write = (page: Page, name: string): Promise<void> =>
    page.evaluate(
      async ([hex, name]) => {
        const silent = window.api.privateKeySigner(hex)
        const sign = async (text: string): Promise<Uint8Array | string> => {
          while (window.isAnswered !== true) await new Promise((resolve) => setTimeout(resolve, 20))
          return await silent.sign(text)
        }
        await window.replica.put({ signer: { avatar: silent.avatar, sign }, patch: { [name]: 1 } })
      },
      [Buffer.from(key).toString('hex'), name] as const,
    )
  const asked = Promise.all([write(one, 'asked1'), write(two, 'asked2')])
  await writeIn(three, key, 'silent', 1)
  expect(await contentIn(three, avatar)).toEqual({ silent0: 0 })
  for (const page of [one, two]) await page.evaluate(() => void (window.isAnswered = true))
  await asked
  for (const page of [one, two, three]) {
    await vi.waitFor(
      async () => expect(await contentIn(page, avatar)).toEqual({ silent0: 0, asked1: 1, asked2: 1 }),
      WAIT,
    )
    await vi.waitFor(async () => expect(await infoIn(page, avatar)).toMatchObject({ waiting: 0 }), WAIT)
  }
  expect(await node.api.recordIds(avatar)).toHaveLength(3)
})
