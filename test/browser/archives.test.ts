import { gzipSync } from 'node:zlib'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { privateKeySigner } from '../../src/client/signers.ts'
import { newKey } from '../support/keys.ts'
import { createCluster, type Cluster, type NodeProcess } from '../support/cluster.ts'
import { openBrowser, type Pages } from './pages.ts'

let cluster: Cluster
let home: NodeProcess
let away: NodeProcess
let browser: Pages
let avatar: `0x${string}`
let archive: string
beforeAll(async () => {
  cluster = await createCluster()
  home = await cluster.start('home')
  away = await cluster.start('away')
  browser = await openBrowser()
  const client = createClient({ nodes: [home.url] })
  const signer = privateKeySigner(newKey())
  avatar = signer.avatar
  for (let n = 0; n < 5; n++) await client.put({ signer, patch: { n, name: 'Ada' } })
  archive = await (await fetch(`${home.url}/v2/archives?avatar=${avatar}`)).text()
})
afterAll(async () => {
  await browser.close()
  await cluster.close()
})

/** Drops a file onto the page, as a person does with a mouse. */
async function drop(page: Page, name: string, bytes: Uint8Array): Promise<void> {
  const files = await page.evaluateHandle(
    ([name, base64]) => {
      const data = new DataTransfer()
      data.items.add(new File([Uint8Array.from(atob(base64), (each) => each.charCodeAt(0))], name))
      return data
    },
    [name, Buffer.from(bytes).toString('base64')] as const,
  )
  await page.locator('.drop').dispatchEvent('drop', { dataTransfer: files })
}

describe('an archive dropped on the page', () => {
  it('is checked there, and uploaded to nobody', async () => {
    const page = await browser.open(`${away.url}/#/archives`)
    await page.locator('.drop').waitFor()
    const before = browser.requests.length
    await drop(page, 'ada.avatar-kv.ndjson', Buffer.from(archive))
    await page.getByText('This archive is sound and complete').waitFor()
    await page.getByText('5 good signatures, 1 avatar').waitFor()
    const asked = browser.requests.slice(before).filter((url) => !url.includes('/assets/'))
    expect(asked).toEqual([])
    expect((await away.api.status()).records).toBe(0)

    await drop(page, 'ada.avatar-kv.ndjson.gz', gzipSync(archive))
    await page.getByText('ada.avatar-kv.ndjson.gz').waitFor()
    await page.getByText('This archive is sound and complete').waitFor()

    await page.getByRole('button', { name: 'Import it into this host' }).click()
    await page.getByText('5 records are new').waitFor()
    expect((await away.api.avatar(avatar))?.digest).toBe((await home.api.avatar(avatar))?.digest)
    expect(browser.complaints).toEqual([])
  })

  const lines = (): string[] => archive.trimEnd().split('\n')
  const DAMAGES: readonly { name: string; make: () => Uint8Array; says: string[] }[] = [
    {
      name: 'a changed record',
      make: () => Buffer.from(archive.replace('\\"n\\":3', '\\"n\\":4')),
      says: ['This archive is damaged', 'Line 5', '4 good signatures'],
    },
    {
      name: 'a record left out',
      make: () =>
        Buffer.from(
          lines()
            .filter((_, at) => at !== 2)
            .join('\n') + '\n',
        ),
      says: ['This archive is damaged', '4 good signatures'],
    },
    {
      name: 'a cut file',
      make: () => Buffer.from(archive.slice(0, -200)),
      says: ['This archive is damaged', 'the file was cut'],
    },
    { name: 'a cut compressed file', make: () => gzipSync(archive).subarray(0, -40), says: ['damaged or cut short'] },
    {
      name: 'no archive at all',
      make: () => Buffer.from('%PDF-1.7 and so on\n'.repeat(200)),
      says: ['Nothing in this file can be used'],
    },
  ]
  it.each(DAMAGES)('with $name is told apart', async ({ make, says }) => {
    const page = await browser.open(`${away.url}/#/archives`)
    await drop(page, 'x.avatar-kv.ndjson', make())
    await page.locator('.notice').waitFor()
    const lineByLine = page.getByText('What is wrong, line by line')
    if ((await lineByLine.count()) > 0) await lineByLine.click()
    for (const each of says) await page.getByText(each).first().waitFor()
    expect(await page.getByText('sound and complete').count()).toBe(0)
  })
})

it('checking ends when the person stops it, or goes elsewhere', async () => {
  const page = await browser.open(`${away.url}/#/archives`)
  const text = gzipSync(`${archive.split('\n')[0]}\n${`${archive.split('\n')[1]}\n`.repeat(100_000)}`)
  await drop(page, 'long.avatar-kv.ndjson.gz', text)
  await page.getByText(/\d+ signatures so far/).waitFor()
  await page.getByRole('button', { name: 'Stop' }).click()
  await page.getByText('so far').waitFor({ state: 'detached' })
  await drop(page, 'short.avatar-kv.ndjson', Buffer.from(archive))
  await page.getByText('This archive is sound and complete').waitFor()
  expect(browser.complaints).toEqual([])
})

it('a host that is away, and a proxy that takes no large file, are told of with what to do', async () => {
  const page = await browser.open(`${away.url}/#/archives`)
  await page.route('**/assets/check-file*', (route) => route.abort())
  await drop(page, 'ada.avatar-kv.ndjson', Buffer.from(archive))
  await page.getByText('A part of this page did not load').waitFor()
  await page.unroute('**/assets/check-file*')
  await page.reload()
  await drop(page, 'ada.avatar-kv.ndjson', Buffer.from(archive))
  await page.getByText('This archive is sound and complete').waitFor()
  await page.route('**/v2/archives', (route) => route.fulfill({ status: 413, body: '<h1>413</h1>' }))
  await page.getByRole('button', { name: 'Import it into this host' }).click()
  await page.getByText('Ask the operator to raise its limit').waitFor()
  await page.unroute('**/v2/archives')
  await page.getByRole('button', { name: 'Import it into this host' }).click()
  await page.getByText('This host has imported the archive').waitFor()
  expect(browser.complaints).toEqual([])
})

it('an archive is downloaded from the page as the host hands it out', async () => {
  const page = await browser.open(`${home.url}/#/avatar/${avatar}/move`)
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'Download the archive' }).click(),
  ])
  expect(download.suggestedFilename()).toMatch(/\.avatar-kv\.ndjson$/)
})
