import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { privateKeySigner } from '../../src/client/signers.ts'
import { newKey } from '../support/keys.ts'
import { createCluster, type Cluster, type NodeProcess } from '../support/cluster.ts'
import { openBrowser, type Pages } from './pages.ts'
import { PROXIES, type PrefixProxy } from './prefix-proxy.ts'

let cluster: Cluster
let node: NodeProcess
let other: NodeProcess
let browser: Pages
beforeAll(async () => {
  cluster = await createCluster()
  node = await cluster.start('home')
  other = await cluster.start('other')
  browser = await openBrowser()
})
afterAll(async () => {
  await browser.close()
  await cluster.close()
})

describe.each(PROXIES)('a node below a path, behind $name', ({ start }) => {
  let proxy: PrefixProxy
  beforeAll(async () => {
    proxy = await start(node.url, '/some/kv')
  })
  afterAll(async () => await proxy.close())

  it('is found, read, followed, written to and moved from in the explorer, and asked for nothing beside its path', async () => {
    const key = newKey()
    const signer = privateKeySigner(key)
    await createClient({ nodes: [proxy.url] }).put({ signer, patch: { city: 'London' } })
    await createClient({ nodes: [proxy.url] }).put({ signer, platform: 'twitter', identity: 'ada', patch: { a: 1 } })
    const before = browser.requests.length
    // Without a slash at the end, as people type it.
    const page = await browser.open(proxy.url)
    await page.getByRole('heading', { name: 'Avatars on this host' }).waitFor()
    await page.getByLabel('Find an avatar').fill(signer.avatar)
    await page.keyboard.press('Enter')
    await page.getByText('Verified in your browser: 2 signatures').waitFor()
    await page.getByText('live', { exact: true }).waitFor()

    await page.getByRole('button', { name: '"city"' }).click()
    await page.getByText('/city was set by').waitFor()
    await page.getByRole('link', { name: /^Number 1/ }).click()
    await page.locator('.entry.chosen').waitFor()
    expect(page.url()).toContain(`${proxy.url}/#/avatar/${signer.avatar}/history`)

    await page.getByRole('link', { name: 'Edit', exact: true }).click()
    await page.getByRole('link', { name: 'Advanced' }).click()
    await page.getByLabel('Secret key').fill(Buffer.from(key).toString('hex'))
    await page.getByRole('button', { name: 'Use it' }).click()
    await page.getByLabel('Content, as JSON').fill('{"city": "Paris"}')
    await page.getByRole('button', { name: 'Review the change' }).click()
    await page.getByRole('button', { name: 'Sign and send' }).click()
    await page.getByText('Your change arrived').waitFor()

    await page.getByRole('link', { name: 'Move', exact: true }).click()
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'Download the archive' }).click(),
    ])
    const path = await download.path()
    await page.getByRole('link', { name: 'Archives', exact: true }).click()
    await page.getByRole('heading', { name: 'Archives', exact: true }).waitFor()
    await page.locator('input[type=file]').setInputFiles(path)
    await page.getByText('This archive is sound and complete').waitFor()
    await page.getByRole('button', { name: 'Import it into this host' }).click()
    await page.getByText('0 records are new, 3 there already').waitFor()

    await page.getByRole('link', { name: 'Network', exact: true }).click()
    await page.getByRole('heading', { name: 'Peers' }).waitFor()
    expect(await page.getByRole('link', { name: 'API' }).evaluate((link: HTMLAnchorElement) => link.href)).toBe(
      `${proxy.url}/docs`,
    )
    const beside = browser.requests
      .slice(before)
      .filter((url) => !url.startsWith('data:') && !url.startsWith('blob:'))
      .filter((url) => url !== proxy.url && !url.startsWith(`${proxy.url}/`))
    expect(beside).toEqual([])
    expect(browser.complaints).toEqual([])
    await page.context().close()
  })

  it('is compared with another host, and another is compared with it', async () => {
    const signer = privateKeySigner(newKey())
    await createClient({ nodes: [node.url] }).put({ signer, patch: { here: 1 } })
    const page = await browser.open(`${proxy.url}/#/avatar/${signer.avatar}`)
    await page.getByText('Verified in your browser').click()
    await page.getByLabel('Compare with another host').fill(other.url)
    await page.getByRole('button', { name: 'Compare' }).click()
    await page.getByText('does not have this avatar').first().waitFor()
    expect(page.url()).toContain(`${proxy.url}/?host=`)

    await page.goto(`${other.url}/#/avatar/${signer.avatar}`)
    await page.getByText('What this means, and which hosts were asked').click()
    await page.getByLabel('Compare with another host').fill(proxy.url)
    await page.getByRole('button', { name: 'Compare' }).click()
    await page.getByText('This host does not have this avatar').waitFor()
    await page.getByText('What this means, and which hosts were asked').click()
    await page.getByRole('rowheader', { name: proxy.url }).waitFor()
    expect(browser.complaints).toEqual([])
    await page.context().close()
  })
})
