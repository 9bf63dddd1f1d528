import type { Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createCluster, type Cluster, type NodeProcess } from '../support/cluster.ts'
import { until } from '../support/until.ts'
import { createWriter, type Writer } from '../support/writer.ts'
import { startHostileProxy, type HostileProxy } from './hostile-proxy.ts'
import { openBrowser, type Pages } from './pages.ts'

const MANY = 5_000
/** More than the page verifies without a worker. */
const SOME = 200
const WASM = ['libsecp256k1-wasm']

let cluster: Cluster
let node: NodeProcess
let liar: HostileProxy
let isLying = true
let browser: Pages
let many: Writer
let some: Writer
beforeAll(async () => {
  cluster = await createCluster()
  node = await cluster.start('verify')
  liar = await startHostileProxy(node.url)
  browser = await openBrowser()
  many = await writeMany('many', MANY)
  some = await writeMany('some', SOME)
  // One signature of each page is that of another record.
  liar.lie((page) => {
    const [first, second] = [page.records[1], page.records[2]]
    if (isLying && first !== undefined && second !== undefined) first.signature = second.signature
    return page
  })
}, 300_000)
afterAll(async () => {
  await browser.close()
  await liar.close()
  await cluster.close()
})
beforeEach(() => {
  isLying = true
  browser.complaints.splice(0)
})

async function writeMany(name: string, count: number): Promise<Writer> {
  const writer = createWriter(name)
  for (let sent = 0; sent < count; sent += 500) {
    const records = Array.from({ length: Math.min(500, count - sent) }, (_, at) =>
      writer.write({ [`k${at % 50}`]: sent + at }),
    )
    await node.api.write(records)
  }
  return writer
}

interface Pass {
  /** Signatures that were verified in this page. */
  readonly signatures: number
  readonly workers: readonly string[]
}

/** What the page says that it verified since it was loaded. */
const passes = async (page: Page): Promise<Pass[]> =>
  await page.evaluate(() =>
    performance.getEntriesByName('verify').map((entry) => (entry as PerformanceMeasure).detail as Pass),
  )

const verdict = async (page: Page): Promise<string> => {
  const title = page.locator('.notice-title', { hasText: /^(Verified in your browser|Not verified)/ })
  await title.first().waitFor({ timeout: 100_000 })
  return (await page.locator(':has(> .notice-title)').allInnerTexts()).join('\n')
}

/** Ways in which WASM does not run. */
const WITHOUT: readonly (readonly [
  what: string,
  workers: readonly string[],
  prepare: (page: Page) => Promise<unknown>,
])[] = [
  [
    'the policy of a proxy allows no WASM',
    ['noble'],
    (page) =>
      page.route(/\/assets\/worker-/, async (route) => {
        const response = await route.fetch()
        const headers = { ...response.headers(), 'content-security-policy': "default-src 'none'; script-src 'self'" }
        await route.fulfill({ response, headers })
      }),
  ],
  [
    'the browser has no WASM',
    ['noble'],
    (page) =>
      page.route(/\/assets\/worker-/, async (route) => {
        const response = await route.fetch()
        await route.fulfill({ response, body: `delete globalThis.WebAssembly;${await response.text()}` })
      }),
  ],
  ['the worker does not load', [], (page) => page.route(/\/assets\/worker-/, (route) => route.abort())],
  [
    'the browser has no workers',
    [],
    (page) => page.addInitScript(() => void Reflect.deleteProperty(globalThis, 'Worker')),
  ],
]

describe('signatures', () => {
  it(`of ${MANY} records are verified with libsecp256k1 in workers`, async () => {
    const page = await browser.open(`${node.url}/#/avatar/${many.avatar}`)
    expect(await verdict(page)).toContain('Verified in your browser: 5,000 signatures')
    expect(await passes(page)).toEqual([{ signatures: MANY, workers: WASM }])
    expect(browser.complaints).toEqual([])
  })

  it('that are forged are found among them', async () => {
    const page = await browser.open(`${liar.url}/#/avatar/${many.avatar}`)
    expect(await verdict(page)).toContain('Not verified: this host does not tell the truth')
    expect((await passes(page))[0]).toEqual({ signatures: MANY, workers: WASM })
  })

  it.each(WITHOUT)('get the same verdicts where %s', async (_, workers, prepare) => {
    for (const host of [node, liar]) {
      const address = `${host.url}/#/avatar/${some.avatar}`
      const wanted = await verdict(await browser.open(address))
      const page = await browser.open(address, {}, prepare)
      expect(await verdict(page)).toBe(wanted)
      expect(wanted).toContain(host === liar ? 'Not verified' : 'Verified in your browser: 200 signatures')
      expect((await passes(page))[0]).toEqual({ signatures: SOME, workers })
    }
  })
})

/** The page stores the verdicts after it has shown them. */
async function untilVisitVerifies(page: Page, signatures: number): Promise<void> {
  await until(async () => {
    await page.reload()
    await verdict(page)
    return (await passes(page))[0]?.signatures === signatures
  }, 'the verdicts are stored')
}

describe('a second visit', () => {
  it('verifies only what is new, and everything where the storage was deleted', async () => {
    const writer = await writeMany('visited', SOME)
    const page = await browser.open(`${node.url}/#/avatar/${writer.avatar}`)
    await verdict(page)
    await node.api.write([writer.write({ new: 1 }), writer.write({ new: 2 })])
    await page
      .getByText(`${SOME + 2} signatures`)
      .first()
      .waitFor()
    await untilVisitVerifies(page, 2)
    expect(await page.locator('main').innerText()).toContain(`Verified in your browser: ${SOME + 2} signatures`)

    await page.evaluate(async () => {
      for (const { name } of await indexedDB.databases()) if (name !== undefined) indexedDB.deleteDatabase(name)
    })
    await page.reload()
    await verdict(page)
    expect((await passes(page))[0]?.signatures).toBe(SOME + 2)
    expect(browser.complaints).toEqual([])
  })

  it('takes no verdict for another signature of the same record', async () => {
    isLying = false
    const page = await browser.open(`${liar.url}/#/avatar/${some.avatar}`)
    expect(await verdict(page)).toContain('Verified in your browser: 200 signatures')
    await untilVisitVerifies(page, 0)
    // Without them the host is read again; with them nothing of what it says now would be looked at.
    await page.evaluate(async () => {
      const names = (await indexedDB.databases()).flatMap(({ name }) => name ?? [])
      for (const name of names) if (name.includes('.records.')) indexedDB.deleteDatabase(name)
    })
    isLying = true
    await page.reload()
    expect(await verdict(page)).toContain('Not verified: this host does not tell the truth')
    expect((await passes(page))[0]?.signatures).toBe(1)
  })

  it.each([
    ['has no storage', () => void Reflect.deleteProperty(globalThis, 'indexedDB')],
    [
      'denies its storage',
      () => {
        IDBFactory.prototype.open = () => {
          throw new DOMException('The user denied permission to access the database.', 'SecurityError')
        }
      },
    ],
    [
      'never opens its storage',
      () => {
        IDBFactory.prototype.open = () => new EventTarget() as IDBOpenDBRequest
      },
    ],
  ])('verifies everything where the browser %s', async (_, deny) => {
    const page = await browser.open(`${node.url}/#/avatar/${some.avatar}`, {}, (page) => page.addInitScript(deny))
    for (let visit = 0; visit < 2; visit++) {
      expect(await verdict(page)).toContain('Verified in your browser: 200 signatures')
      expect((await passes(page))[0]?.signatures).toBe(SOME)
      await page.reload()
    }
    expect(browser.complaints).toEqual([])
  })
})
