import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { privateKeySigner } from '../../src/client/signers.ts'
import type { JsonObject, JsonValue } from '../../src/record/types.ts'
import { newKey } from '../support/keys.ts'
import { createCluster, type Cluster, type NodeProcess } from '../support/cluster.ts'
import { createWriter } from '../support/writer.ts'
import { openBrowser, type Pages } from './pages.ts'

let cluster: Cluster
let node: NodeProcess
let browser: Pages
beforeAll(async () => {
  cluster = await createCluster()
  node = await cluster.start('home')
  browser = await openBrowser()
})
afterAll(async () => {
  await browser.close()
  await cluster.close()
})

describe('whatever strangers write is shown as text', () => {
  it('markup runs nothing, and nothing hides in a text', async () => {
    const signer = privateKeySigner(newKey())
    const markup = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
    const plain = JSON.stringify({ [markup]: markup, turned: 'abc\u202Edef\u2066', link: 'javascript:alert(1)' })
    const patch = JSON.parse(plain.replace('{', '{"__proto__":{"polluted":true},"constructor":1,')) as JsonObject
    const client = createClient({ nodes: [node.url] })
    await client.put({ signer, patch })
    await client.put({ signer, platform: 'x', identity: '\u202E<b>evil</b>', patch: { a: 1 } })
    for (const tab of ['', '/history', '/edit']) {
      const page = await browser.open(`${node.url}/#/avatar/${signer.avatar}${tab}`)
      await page.getByText('Verified in your browser: 2 signatures').waitFor()
      if (tab === '/history') await page.getByText('the newest first').waitFor()
      expect(await page.title()).toBe('Avatar – avatar-kv explorer')
      expect(await page.locator('main img, main script, main b').count()).toBe(0)
      expect(await page.evaluate('({}).polluted')).toBeUndefined()
      if (tab === '/edit') continue
      const text = await page.locator('main').innerText()
      expect(text).toContain('\\u202e')
      expect(text).not.toContain('\u202E')
      expect(text).toContain('__proto__')
    }
    expect(browser.complaints).toEqual([])
  })

  it('content as deep and as wide as the protocol lets it be', async () => {
    const signer = privateKeySigner(newKey())
    let deep: JsonValue = 'the bottom'
    for (let level = 0; level < 55; level++) deep = level % 2 === 0 ? { down: deep } : [deep]
    const wide = Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`key ${n}`, n]))
    await createClient({ nodes: [node.url] }).put({ signer, patch: { deep, wide } })
    const page = await browser.open(`${node.url}/#/avatar/${signer.avatar}`)
    const article = page.getByRole('article', { name: 'Profile data' })
    await article.getByText('"wide"').waitFor()
    const bottom = page.getByText('"the bottom"')
    while ((await bottom.count()) === 0) await article.locator('button.fold[aria-expanded=false]').first().click()
    await page.getByText('"the bottom"').waitFor()
    await article.getByRole('button', { name: 'wide: 5,000 keys' }).click()
    expect(await page.getByText('"key 4999"').count()).toBe(0)
    await page.getByRole('button', { name: 'Show all 5,000' }).click()
    await page.getByText('"key 4999"').waitFor()
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0)
  })
})

it('a long history is checked with its progress shown, while the page stays usable', async () => {
  const writer = createWriter('a long history')
  const records = Array.from({ length: 6_000 }, (_, n) => writer.write({ n }))
  for (let at = 0; at < records.length; at += 500) await node.api.write(records.slice(at, at + 500))
  const page = await browser.open(`${node.url}/#/avatar/${writer.avatar}`)
  await page.getByText(/Checking signatures: [\d,]+ of 6,000/).waitFor()
  // Another page opens while it goes on.
  await page.getByRole('link', { name: 'Network' }).click()
  await page.getByRole('heading', { name: 'Peers' }).waitFor()
  await page.goBack()
  await page.getByText('Verified in your browser: 6,000 signatures').waitFor()
  await page.getByRole('link', { name: 'History' }).click()
  await page.getByText('6,000 records, the newest first').waitFor()
  expect(await page.locator('.entry').count()).toBe(50)
  await page.getByRole('button', { name: /Show older/ }).click()
  expect(await page.locator('.entry').count()).toBe(100)

  // The first record of all, by its address: around it, and from there to newer ones.
  const first = records[0]!
  await page.goto(`${node.url}/#/avatar/${writer.avatar}/history?record=${first.id}`)
  const chosen = page.locator('.entry.chosen')
  await chosen.waitFor()
  expect(await chosen.locator('.number').innerText()).toBe('1')
  expect(await page.locator('.entry').count()).toBeLessThanOrEqual(50)
  await page.getByRole('button', { name: /Show newer/ }).click()
  expect(await page.locator('.entry .number').first().innerText()).toBe('76')
})
