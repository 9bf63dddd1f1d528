import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { privateKeySigner } from '../../src/client/signers.ts'
import { verifyReceipt, type Receipt } from '../../src/receipt/receipt.ts'
import { newKey } from '../support/keys.ts'
import { createCluster, type Cluster, type NodeProcess } from '../support/cluster.ts'
import { openBrowser, type Pages } from './pages.ts'

let cluster: Cluster
let home: NodeProcess
let away: NodeProcess
let closed: NodeProcess
let browser: Pages
const signer = privateKeySigner(newKey())
beforeAll(async () => {
  cluster = await createCluster()
  home = await cluster.start('home')
  away = await cluster.start('away')
  closed = await cluster.start('closed', { flags: ['--hosting-mode', 'listed'] })
  browser = await openBrowser()
  for (let n = 0; n < 3; n++) await createClient({ nodes: [home.url] }).put({ signer, patch: { n } })
})
afterAll(async () => {
  await browser.close()
  await cluster.close()
})

it('an avatar is moved to another node from its page, with a receipt that the new node signed', async () => {
  const page = await browser.open(`${home.url}/#/avatar/${signer.avatar}/move`)
  await page.getByLabel('Address of the new host').fill('not an address')
  await page.getByRole('button', { name: 'Continue' }).click()
  await page.getByText('That is not the address of a host').waitFor()
  await page.getByLabel('Address of the new host').fill(home.url)
  await page.getByRole('button', { name: 'Continue' }).click()
  await page.getByText('That is this host').waitFor()
  await page.getByLabel('Address of the new host').fill(away.url)
  await page.getByRole('button', { name: 'Continue' }).click()
  await page.getByText('This page may ask that host now').waitFor()
  expect((await away.api.status()).records).toBe(0)
  await page.getByRole('button', { name: 'Move it there' }).click()
  await page.getByText('has all of it').waitFor()
  await page.getByText('3 records copied').waitFor()
  expect((await away.api.avatar(signer.avatar))?.digest).toBe((await home.api.avatar(signer.avatar))?.digest)

  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'Download the receipt' }).click(),
  ])
  const saved = JSON.parse(await readFile(await download.path(), 'utf8')) as { node: string; receipt: Receipt }
  expect(saved.node).toBe(away.url)
  expect(saved.receipt.avatar).toBe(signer.avatar)
  expect(verifyReceipt(saved.receipt)).toBe(true)
  await page.getByRole('link', { name: /^Open your avatar on/ }).click()
  await page.getByText('Verified in your browser: 3 signatures').waitFor()
  expect(page.url()).toContain(away.url)
  expect(browser.complaints).toEqual([])
})

it('a node that does not take the avatar is quoted, and one that does not answer is named', async () => {
  const page = await browser.open(`${home.url}/?host=${encodeURIComponent(closed.url)}#/avatar/${signer.avatar}/move`)
  await page.getByRole('button', { name: 'Move it there' }).click()
  await page.getByText('does not have all of it').waitFor()
  await page.getByText('Ask its operator for an invitation').waitFor()
  await page.getByRole('button', { name: 'Try again' }).click()
  await closed.stop()
  await page.getByRole('button', { name: 'Move it there' }).click()
  await page.getByText(`${closed.url}: The host does not answer`).waitFor()
  expect((await home.api.avatar(signer.avatar))?.tips_total).toBe(1)
})
