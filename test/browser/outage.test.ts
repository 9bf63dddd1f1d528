import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { privateKeySigner } from '../../src/client/signers.ts'
import { newKey } from '../support/keys.ts'
import { createCluster, type Cluster, type NodeProcess } from '../support/cluster.ts'
import { createWriter } from '../support/writer.ts'
import { openBrowser, type Pages } from './pages.ts'

const AVATARS = 47

let cluster: Cluster
let node: NodeProcess
let browser: Pages
const signer = privateKeySigner(newKey())
beforeAll(async () => {
  cluster = await createCluster()
  node = await cluster.start('home')
  browser = await openBrowser()
  const records = Array.from({ length: AVATARS - 1 }, (_, n) => createWriter(`one of many ${n}`).write({ n }))
  await node.api.write(records)
  await createClient({ nodes: [node.url] }).put({ signer, patch: { city: 'Turin' } })
})
afterAll(async () => {
  await browser.close()
  await cluster.close()
})

/** Pages, with what they show once the host answers. */
const PAGES: readonly { readonly hash: string; readonly shows: string }[] = [
  { hash: '#/', shows: `${AVATARS} avatars in all` },
  { hash: '#/?q=twitter/nobody', shows: 'Nobody claims twitter/nobody' },
  { hash: '#/network', shows: 'This host serves the data that it has' },
  { hash: `#/avatar/${signer.avatar}`, shows: '"Turin"' },
  { hash: `#/avatar/${signer.avatar}/history`, shows: 'the newest first' },
]

describe('after an outage of the host', () => {
  it.each(PAGES)('$hash, opened while it was down, shows what it is for, by itself', async ({ hash, shows }) => {
    const page = await browser.open(`${node.url}/#/write`)
    await page.getByRole('heading', { name: 'Write as yourself' }).waitFor()
    await node.stop()
    await go(page, hash)
    await page.getByText('tries again by itself').first().waitFor()
    await node.restart()
    await page.getByText(shows).first().waitFor()
    await page.getByText('tries again by itself').first().waitFor({ state: 'detached' })
    expect(browser.complaints).toEqual([])
    await page.context().close()
  })

  it('a page that could not even be begun is begun by itself', async () => {
    const page = await browser.open('about:blank')
    await page.route('**/v2/status', (route) => route.abort())
    await page.goto(node.url)
    await page.getByText('This host does not answer').first().waitFor()
    await page.unroute('**/v2/status')
    await page.getByText('in all').waitFor()
    expect(browser.complaints).toEqual([])
    await page.context().close()
  })

  it('what a page shows stays there meanwhile, with the time at which it was true', async () => {
    const page = await browser.open(`${node.url}/#/network`)
    await page.getByText('This host serves the data that it has').waitFor()
    await node.stop()
    await page.getByText('Not up to date: last answer at').waitFor()
    await page.getByText('This host serves the data that it has').waitFor()
    await node.restart()
    await page.getByText('Not up to date').waitFor({ state: 'detached' })
    expect(browser.complaints).toEqual([])
    await page.context().close()
  })

  it('what was verified is never called verified without a time while the host is away', async () => {
    const page = await browser.open(`${node.url}/#/avatar/${signer.avatar}`)
    await page.getByText('Verified in your browser: 1 signature').waitFor()
    await page.getByText('live', { exact: true }).waitFor()
    await node.stop()
    await page.getByText('Offline: this host cannot be reached').waitFor()
    const status = page.getByRole('region', { name: 'Status' })
    expect(await status.innerText()).toMatch(/verified in your browser at \d+:\d\d:\d\d/i)
    expect(await page.locator('.good').count()).toBe(0)
    await node.restart()
    await page.getByText('Verified in your browser: 1 signature').waitFor()
    await page.context().close()
  })
})

async function go(page: Page, hash: string): Promise<void> {
  await page.evaluate((next) => (location.hash = next), hash)
}
