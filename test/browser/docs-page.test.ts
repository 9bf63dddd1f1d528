import { mkdir } from 'node:fs/promises'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createCluster, type Cluster, type NodeProcess } from '../support/cluster.ts'
import { openBrowser, type Pages } from './pages.ts'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
/** Where to put pictures, for people to look at; none are taken where it is not set. */
const PICTURES = process.env['EXPLORER_PICTURES']

let cluster: Cluster
let node: NodeProcess
let browser: Pages
beforeAll(async () => {
  cluster = await createCluster()
  ;[node] = (await cluster.line(1)) as [NodeProcess]
  browser = await openBrowser()
})
afterAll(async () => {
  await browser.close()
  await cluster.close()
})

const LOOKS = (['light', 'dark'] as const).flatMap((colorScheme) =>
  [1280, 360].map((width) => ({ colorScheme, width })),
)

describe('the page of the HTTP interface', () => {
  it.each(LOOKS)('is for everyone, $colorScheme, $width pixels wide', async ({ colorScheme, width }) => {
    const page = await browser.open(`${node.url}/docs`, { colorScheme, viewport: { width, height: 800 } })
    await page.getByRole('heading', { name: 'HTTP interface' }).waitFor()
    // The same look as the explorer: its background is that of the tokens.
    const explorer = await browser.open(node.url, { colorScheme })
    const background = () => getComputedStyle(document.body).backgroundColor
    expect(await page.evaluate(background)).toBe(await explorer.evaluate(background))
    await explorer.context().close()

    if (PICTURES !== undefined) {
      await mkdir(PICTURES, { recursive: true })
      const name = `docs-${colorScheme}-${width}`
      await page.screenshot({ path: join(PICTURES, `${name}.png`) })
      await page.locator('#writeRecords summary').first().click()
      await page.locator('#writeRecords').screenshot({ path: join(PICTURES, `${name}-call.png`) })
    }
    for (const fold of await page.locator('#getStatus summary').all()) await fold.click()
    await page.evaluate(AXE)
    const { violations } = (await page.evaluate('axe.run()')) as { violations: { id: string; nodes: object[] }[] }
    expect(violations).toEqual([])
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0)
    expect(browser.complaints).toEqual([])
    await page.context().close()
  })

  it('leads from the explorer to a call, by a link that can be shared', async () => {
    const page = await browser.open(node.url)
    await page.getByRole('link', { name: 'API' }).click()
    await page.getByRole('link', { name: 'Write signed records' }).first().click()
    expect(page.url()).toBe(`${node.url}/docs#writeRecords`)
    await page.getByText('one bad record does not stop the others').waitFor()
    await page.getByRole('link', { name: 'avatar-kv' }).click()
    expect(page.url()).toBe(`${node.url}/`)
    expect(browser.complaints).toEqual([])
  })
})
