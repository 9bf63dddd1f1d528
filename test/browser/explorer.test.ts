import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Page } from 'playwright-core'
import { createClient } from '../../src/client/client.ts'
import { privateKeySigner, type Signer } from '../../src/client/signers.ts'
import type { Client } from '../../src/client/api.ts'
import { uncompressedAvatar } from '../../src/record/keys.ts'
import { newKey } from '../support/keys.ts'
import { createCluster, type Cluster, type NodeProcess } from '../support/cluster.ts'
import { cite, createWriter } from '../support/writer.ts'
import { openBrowser, type Pages } from './pages.ts'

let cluster: Cluster
let node: NodeProcess
let other: NodeProcess
let client: Client
let browser: Pages
beforeAll(async () => {
  cluster = await createCluster()
  ;[node, other] = (await cluster.line(2)) as [NodeProcess, NodeProcess]
  client = createClient({ nodes: [node.url] })
  browser = await openBrowser()
})
afterAll(async () => {
  await browser.close()
  await cluster.close()
})

async function newcomer(patch: Parameters<Client['put']>[0]['patch']): Promise<Signer> {
  const signer = privateKeySigner(newKey())
  await client.put({ signer, patch })
  return signer
}

async function search(page: Page, text: string): Promise<void> {
  await page.getByLabel('Find an avatar').fill(text)
  await page.keyboard.press('Enter')
}

const own = (page: Page) => page.getByRole('article', { name: 'Profile data' })

describe('search', () => {
  it('finds an avatar in any form, and shows it verified in the browser', async () => {
    const { avatar } = await newcomer({ name: 'Ada' })
    for (const form of [avatar, avatar.slice(2).toUpperCase(), uncompressedAvatar(avatar)]) {
      const page = await browser.open(node.url)
      await search(page, ` ${form} `)
      await page.getByText('Verified in your browser: 1 signature').waitFor()
      expect(await own(page).textContent()).toContain('"Ada"')
    }
    expect(browser.complaints).toEqual([])
  })

  it('finds avatars by an account that they claim', async () => {
    const signer = await newcomer({})
    const identity = `Ada-${signer.avatar.slice(-6)}`
    await client.put({ signer, platform: 'twitter', identity, patch: { bio: 'counts' } })
    const page = await browser.open(node.url)
    await search(page, `Twitter/@${identity}`)
    await page.getByRole('heading', { name: `1 avatar claims twitter/@${identity} or twitter/${identity}` }).waitFor()
    await page.locator('.cards a').click()
    const article = page.getByRole('article', { name: `twitter / ${identity}` })
    await article.waitFor()
    expect(await article.innerText()).toContain('"counts"')
  })

  it('finds names with and without @, and counts anew what the host keeps', async () => {
    const before = await browser.open(node.url)
    const count = async (): Promise<number> =>
      Number(/([\d,]+) avatars? in all/.exec(await before.innerText('main'))?.[1])
    await before.getByText('in all').waitFor()
    const [plain, at] = [await newcomer({ a: 1 }), await newcomer({ a: 1 })]
    await client.put({ signer: plain, platform: 'matrix', identity: 'eve', patch: { proof: 'x' } })
    await client.put({ signer: at, platform: 'matrix', identity: '@eve', patch: { proof: 'y' } })
    const first = await count()
    await before.getByLabel('Find an avatar').fill('matrix/@eve')
    await before.keyboard.press('Enter')
    await before.getByText('2 avatars claim matrix/@eve or matrix/eve').waitFor()
    await before.getByRole('link', { name: 'Avatars', exact: true }).click()
    await before.getByText('in all').waitFor()
    expect(await count()).toBe(first + 2)
  })

  it('says what is wrong with what was typed, and what to type', async () => {
    const page = await browser.open(node.url)
    await search(page, `0x${'12'.repeat(20)}`)
    await page.getByText('That is an Ethereum address').waitFor()
    await search(page, '0x02')
    await page.getByText('such as twitter/alice').waitFor()
    expect(await page.getByLabel('Find an avatar').getAttribute('aria-invalid')).toBe('true')
    await search(page, 'twitter/nobody-at-all')
    await page.getByRole('heading', { name: 'Nobody claims twitter/nobody-at-all' }).waitFor()
  })
})

describe('an avatar', () => {
  it('is updated live by what is written at another node', async () => {
    const signer = await newcomer({ city: 'London' })
    const page = await browser.open(`${node.url}/#/avatar/${signer.avatar}`)
    await page.getByText('live', { exact: true }).waitFor()
    const there = createClient({ nodes: [other.url, node.url] })
    await there.put({ signer, patch: { city: 'Paris' } })
    await own(page).getByText('"Paris"').waitFor()
    await page.getByText('Verified in your browser: 2 signatures').waitFor()
    expect(await page.locator('[aria-live]').first().textContent()).toContain('signature checked')
  })

  it('shows which patch set a value, and that patch in the history', async () => {
    const signer = await newcomer({ name: { first: 'Ada' }, city: 'London' })
    await client.put({ signer, patch: { city: 'Paris' } })
    const page = await browser.open(`${node.url}/#/avatar/${signer.avatar}`)
    await own(page).getByRole('button', { name: '"city"' }).click()
    await page.getByText('/city was set by this patch').waitFor()
    await page.getByRole('link', { name: /^Number 2/ }).click()
    const entry = page.locator('.entry.chosen')
    await entry.waitFor()
    expect(await entry.innerText()).toMatch(/"London"[\s\S]*"Paris"/)
    expect(await entry.getByLabel('Payload', { exact: true }).innerText()).toContain(`"avatar":"${signer.avatar}"`)
    expect(await entry.getByLabel('Signature', { exact: true }).innerText()).toMatch(/^0x[0-9a-f]{128}$/)
    expect(await page.locator('.entry').count()).toBe(2)
  })

  it('shows a fork as what it is, and the write that joins it', async () => {
    const writer = createWriter('fork in the explorer')
    const first = writer.write({ a: 1 })
    // Two devices that had seen the same, and not each other.
    const [one, two] = [{ one: 1 }, { two: 2 }].map((patch) => writer.write(patch, { prev: cite(first) }))
    await node.api.write([first, one!, two!])
    const page = await browser.open(`${node.url}/#/avatar/${writer.avatar}/history`)
    await page.getByText('A fork: 2 changes at the same time').waitFor()
    await page.getByText('fork: 2 changes from here').waitFor()
    await node.api.write([writer.write({ three: 3 }, { prev: cite(one!, two!) })])
    await page.getByText('joins 2 branches').waitFor()
    expect(await page.locator('.entry').count()).toBe(4)
    await page.getByText('A fork: 2 changes at the same time').waitFor({ state: 'detached' })
  })

  it('that nobody has written to is shown as empty', async () => {
    const { avatar } = privateKeySigner(newKey())
    const page = await browser.open(`${node.url}/#/avatar/${avatar}`)
    await page.getByText('Nothing is known of this avatar').waitFor()
    await page.getByText('This avatar holds nothing yet.').waitFor()
    expect(browser.complaints).toEqual([])
  })
})

describe('the network page', () => {
  it('says so where the host answers what it does not know, and shows what peers say with nothing hidden', async () => {
    const page = await browser.open(`${node.url}/#/network`, { viewport: { width: 360, height: 740 } })
    await page.getByRole('heading', { name: 'Peers' }).waitFor()
    const peer = {
      peer_id: 'abc\u202ecba',
      addresses: [],
      direction: 'inbound',
      gossip: true,
      connected_at: 0,
      agent: null,
      gossip_records_in: 3,
    }
    const sync = { state: 'idle', last: null, failures: 1, error: 'x'.repeat(3_000), records_in: 0, records_out: 0 }
    await page.route('**/v2/peers', (route) => route.fulfill({ json: { peers: [{ ...peer, sync }] } }))
    await page.getByText('trouble: xxx').waitFor()
    expect(await page.locator('.peers tbody tr').innerText()).toContain('abc\\u202ecba')
    expect(await page.locator('.peers tbody tr').innerText()).toMatch(/\b3\b/)
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360)
    await page.route('**/v2/status', (route) => route.fulfill({ json: { version: '2' } }))
    await page.getByText('This host answered with something that is not the answer of a node').waitFor()
    await page.unroute('**/v2/status')
    await page.getByText('trouble: xxx').waitFor()
    await page.route('**/v2/peers', (route) => route.fulfill({ json: { peers: [{ peer_id: 'a' }] } }))
    await page.getByText('This host answered with something that is not the answer of a node').waitFor()
    expect(browser.complaints).toEqual([])
  })

  it('shows who runs the host, as text that hides nothing and runs nothing', async () => {
    const page = await browser.open(`${node.url}/#/network`, { viewport: { width: 360, height: 740 } })
    await page.getByRole('heading', { name: 'Who runs this host' }).waitFor()
    expect(await page.getByText('The operator states none.').count()).toBe(2)
    const info = await (await fetch(`${node.url}/v2/node`)).json()
    const said = { ...info, name: '<b>Har\u202ebour</b>', policy: `First.\n${'x'.repeat(5_000)}` }
    const contact = page.locator('section[aria-labelledby=operator-title] a')
    for (const [text, href] of [
      ['ops@harbour.example', 'mailto:ops%40harbour.example'],
      ['https://harbour.example/a', 'https://harbour.example/a'],
      ['javascript:alert(1)', null],
    ] as const) {
      await page.route('**/v2/node', (route) => route.fulfill({ json: { ...said, contact: text } }))
      await page.getByText(text, { exact: true }).waitFor()
      expect(await contact.count()).toBe(href === null ? 0 : 1)
      if (href !== null) expect(await contact.getAttribute('href')).toBe(href)
    }
    await page.getByRole('heading', { name: '<b>Har\\u202ebour</b>', exact: true }).waitFor()
    expect(await page.locator('.policy').innerText()).toHaveLength(4_000)
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360)
    expect(browser.complaints).toEqual([])
  })

  it('shows the peers of the host, and how sync with them stands', async () => {
    const page = await browser.open(`${node.url}/#/network`)
    await page.getByRole('heading', { name: 'Peers' }).waitFor()
    await page
      .getByText(/in sync|not compared yet|syncing now/)
      .first()
      .waitFor()
    expect(await page.locator('.peers tbody tr').count()).toBe(1)
  })
})

it('pages ask nobody but the host that serves them', () => {
  const hosts = new Set(browser.requests.filter((url) => !url.startsWith('data:')).map((url) => new URL(url).origin))
  expect([...hosts]).toEqual([node.url])
})
