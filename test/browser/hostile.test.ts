import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Page } from 'playwright-core'
import { createClient } from '../../src/client/client.ts'
import { privateKeySigner } from '../../src/client/signers.ts'
import { recordId } from '../../src/record/id.ts'
import { newKey } from '../support/keys.ts'
import { createCluster, type Cluster, type NodeProcess } from '../support/cluster.ts'
import { startHostileProxy, type HostileProxy, type Lie, type PageJson, type RecordJson } from './hostile-proxy.ts'
import { openBrowser, type Pages } from './pages.ts'

let cluster: Cluster
let node: NodeProcess
let browser: Pages
/** A record of somebody else. */
let foreign: RecordJson
beforeAll(async () => {
  cluster = await createCluster()
  node = await cluster.start('honest')
  browser = await openBrowser()
  const avatar = await writeThree({ other: 'person' })
  foreign = (await pageOf(avatar)).records[0] as RecordJson
})
afterAll(async () => {
  await browser.close()
  await cluster.close()
})

/** A chain of three patches by a new avatar. */
async function writeThree(extra: Record<string, string> = {}): Promise<string> {
  const client = createClient({ nodes: [node.url] })
  const signer = privateKeySigner(newKey())
  await client.put({ signer, patch: { name: 'Ada', city: 'London', ...extra } })
  await client.put({ signer, patch: { city: 'Paris' } })
  await client.put({ signer, patch: { city: 'Turin' } })
  return signer.avatar
}

async function pageOf(avatar: string): Promise<PageJson> {
  return (await (await fetch(`${node.url}/v2/avatars/${avatar}/records`)).json()) as PageJson
}

async function through<T>(use: (proxy: HostileProxy) => Promise<T>): Promise<T> {
  const proxy = await startHostileProxy(node.url)
  try {
    return await use(proxy)
  } finally {
    await proxy.close()
  }
}

const verdictOf = async (page: Page): Promise<string> => {
  const verdict = page.getByRole('region', { name: 'Status' })
  await verdict.waitFor()
  return (await verdict.innerText()).split('What this means')[0] ?? ''
}

const changed =
  (change: (records: RecordJson[]) => RecordJson[]): Lie =>
  (page) => ({ ...page, records: change(page.records) })

function edited(record: RecordJson, isIdToo: boolean): RecordJson {
  const payload = record.payload.replace('Paris', 'Milan')
  return { ...record, payload, id: isIdToo ? recordId(new TextEncoder().encode(payload)) : record.id }
}

const NOT_TRUE = 'this host does not tell the truth'

const LIES: readonly { readonly name: string; readonly lie: Lie; readonly says: readonly string[] }[] = [
  {
    name: 'drops a record in the middle',
    lie: changed((records) => records.filter((_, at) => at !== 1)),
    says: ['a gap, 1 record missing'],
  },
  {
    name: 'drops the newest record',
    lie: changed((records) => records.slice(0, 2)),
    says: [NOT_TRUE, 'keeps records back or changes them'],
  },
  {
    name: 'edits a record',
    lie: changed((records) => records.map((each) => edited(each, false))),
    says: [NOT_TRUE, 'its id is'],
  },
  {
    name: 'edits a record and names it anew',
    lie: changed((records) => records.map((each) => edited(each, true))),
    says: [NOT_TRUE, 'a record that is not valid'],
  },
  {
    name: 'puts the signature of one record under another',
    lie: changed((records) =>
      records.map((each, at) => ({ ...each, signature: records[at ^ 1]?.signature ?? each.signature })),
    ),
    says: [NOT_TRUE, 'a record that is not valid'],
  },
  {
    name: 'replays a record of somebody else',
    lie: changed((records) => [...records, foreign]),
    says: [NOT_TRUE, 'a record of another avatar'],
  },
  {
    name: 'replays the same page for ever',
    lie: (page) => (page.records.length === 0 ? page : { ...page, cursor: null }),
    says: [NOT_TRUE, 'the same records again and again'],
  },
  {
    name: 'claims a state that its records do not make',
    lie: (page) => ({ ...page, digest: 'ab'.repeat(32) }),
    says: [NOT_TRUE, 'says that it shows another state'],
  },
]

describe('a host that lies is seen through', () => {
  it.each(LIES)('$name', async ({ lie, says }) => {
    const avatar = await writeThree()
    await through(async (proxy) => {
      proxy.lie(lie)
      const page = await browser.open(`${proxy.url}/#/avatar/${avatar}`)
      const verdict = await verdictOf(page)
      for (const each of says) expect(verdict).toContain(each)
      expect(verdict).not.toContain('Verified in your browser')
      expect(await page.locator('main').innerText()).not.toContain('Milan')
    })
  })

  it('replays an older state: a second host shows it', async () => {
    const client = createClient({ nodes: [node.url] })
    const signer = privateKeySigner(newKey())
    await client.put({ signer, patch: { city: 'Paris' } })
    await through(async (proxy) => {
      const before = await browser.open(`${proxy.url}/?host=${encodeURIComponent(node.url)}#/avatar/${signer.avatar}`)
      expect(await verdictOf(before)).toContain('Verified in your browser: 1 signature')
      proxy.replay()
      await client.put({ signer, patch: { city: 'Turin' } })
      const page = await browser.open(`${proxy.url}/?host=${encodeURIComponent(node.url)}#/avatar/${signer.avatar}`)
      const verdict = await verdictOf(page)
      expect(verdict).toContain('This host shows an older state')
      expect(verdict).toContain('shows an older state: it lacks')
      expect(await page.getByRole('article', { name: 'Profile data' }).innerText()).toContain('Turin')
    })
  })

  it('replays an older state while the page is open: the second host is followed, and both are held against it', async () => {
    const client = createClient({ nodes: [node.url] })
    const signer = privateKeySigner(newKey())
    await client.put({ signer, patch: { city: 'Paris' } })
    await through(async (proxy) => {
      const page = await browser.open(`${proxy.url}/?host=${encodeURIComponent(node.url)}#/avatar/${signer.avatar}`)
      await page.getByText('· 2 nodes').waitFor()
      await client.put({ signer, patch: { city: 'Rome' } })
      await page.getByText('Verified in your browser: 2 signatures').waitFor()
      await page.getByText('· 2 nodes').waitFor()
      proxy.replay()
      await client.put({ signer, patch: { city: 'Turin' } })
      await page.getByText('This host shows an older state').waitFor()
      expect(await page.getByRole('article', { name: 'Profile data' }).innerText()).toContain('Turin')
    })
  })

  it.each([/^\/v2\/avatars\/0x[0-9a-f]+/, /\/receipt/])('denies what another host has: %s', async (addresses) => {
    const avatar = await writeThree()
    await through(async (proxy) => {
      proxy.deny(addresses)
      const own = await browser.open(`${proxy.url}/?host=${encodeURIComponent(node.url)}#/avatar/${avatar}`)
      const verdict = await verdictOf(own)
      expect(verdict).toContain('This host does not have this avatar')
      expect(verdict).not.toContain('Verified in your browser')
      expect(await own.getByRole('article', { name: 'Profile data' }).innerText()).toContain('Turin')

      const other = await browser.open(`${node.url}/?host=${encodeURIComponent(proxy.url)}#/avatar/${avatar}`)
      const words = await verdictOf(other)
      expect(words).toContain('Verified in your browser: 3 signatures')
      expect(words).toContain(
        `This host shows exactly this state. The host ${proxy.url.slice(7)} does not have this avatar.`,
      )
    })
  })

  it('reorders records: that changes nothing', async () => {
    const avatar = await writeThree()
    await through(async (proxy) => {
      proxy.lie(changed((records) => records.toReversed()))
      const page = await browser.open(`${proxy.url}/#/avatar/${avatar}`)
      expect(await verdictOf(page)).toContain('Verified in your browser: 3 signatures')
      expect(await page.getByRole('article', { name: 'Profile data' }).innerText()).toContain('Turin')
    })
  })
})
