import { afterAll, beforeAll, expect, it } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { privateKeySigner } from '../../src/client/signers.ts'
import { newKey } from '../client/keys.ts'
import { createCluster, type Cluster, type NodeProcess } from '../integration/cluster.ts'
import { openBrowser, type Pages } from './pages.ts'

let cluster: Cluster
let node: NodeProcess
let other: NodeProcess
let browser: Pages
beforeAll(async () => {
  cluster = await createCluster()
  ;[node, other] = (await cluster.line(2)) as [NodeProcess, NodeProcess]
  browser = await openBrowser()
})
afterAll(async () => {
  await browser.close()
  await cluster.close()
})

it('shows an avatar that was searched for, verified in the browser', async () => {
  const signer = privateKeySigner(newKey())
  await createClient({ nodes: [node.url] }).put({ signer, patch: { name: 'Ada' } })
  const page = await browser.open(node.url)
  await page.getByLabel('Avatar, or platform/name').fill(signer.avatar.slice(2).toUpperCase())
  await page.getByRole('button', { name: 'Find' }).click()
  await page.getByText('Verified in your browser: 1 signature').waitFor()
  expect(await page.getByRole('article', { name: 'Its own data' }).textContent()).toContain('"Ada"')
  expect(browser.complaints).toEqual([])
})
