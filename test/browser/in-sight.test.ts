import type { BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { privateKeySigner } from '../../src/client/signers.ts'
import { newKey } from '../support/keys.ts'
import { createCluster, type Cluster, type NodeProcess } from '../support/cluster.ts'
import { cite, createWriter } from '../support/writer.ts'
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

const PHONE: BrowserContextOptions = { viewport: { width: 360, height: 720 }, isMobile: true, hasTouch: true }
const DESKTOP: BrowserContextOptions = { viewport: { width: 1280, height: 800 } }

async function boxOf(page: Page, selector: string): Promise<{ x: number; y: number; width: number; height: number }> {
  const box = await page.locator(selector).boundingBox()
  if (box === null) throw new Error(`${selector} is not shown.`)
  return box
}

describe('which patch set a value', () => {
  /** A content that is many screens high. */
  async function openHigh(options: BrowserContextOptions): Promise<Page> {
    const signer = privateKeySigner(newKey())
    const patch = Object.fromEntries(Array.from({ length: 90 }, (_, n) => [`key-${n}`, `value ${n} `.repeat(12)]))
    await createClient({ nodes: [node.url] }).put({ signer, patch })
    const page = await browser.open(`${node.url}/#/avatar/${signer.avatar}`, options)
    await page.getByText('Verified in your browser').waitFor()
    return page
  }

  it('is shown at the key that was chosen', async () => {
    const page = await openHigh(DESKTOP)
    for (const key of ['"key-3"', '"key-71"', '"key-89"']) {
      const button = page.getByRole('button', { name: key, exact: true })
      await button.click()
      await page.getByText('was set by this patch').waitFor()
      const [at, shown] = [(await button.boundingBox())!, await boxOf(page, '.origin')]
      expect(shown.y - (at.y + at.height)).toBeGreaterThanOrEqual(-2)
      expect(shown.y - (at.y + at.height)).toBeLessThan(60)
      expect(shown.y).toBeGreaterThanOrEqual(0)
      expect(shown.y + shown.height).toBeLessThanOrEqual(800)
      expect(shown.x + shown.width).toBeLessThanOrEqual(1280)
      // Nothing lies over it.
      const isOnTop = `const box = document.querySelector('.origin').getBoundingClientRect()
        document.elementFromPoint(box.x + 20, box.y + box.height / 2).closest('.origin') !== null`
      expect(
        await page.evaluate(`(() => { ${isOnTop.replace('document.element', 'return document.element')} })()`),
      ).toBe(true)
    }
    await page.locator('.origin').getByRole('button', { name: 'Close' }).click()
    expect(await page.locator('.origin').count()).toBe(0)
  })

  it('is a sheet at the lower edge of a phone', async () => {
    const page = await openHigh(PHONE)
    await page.getByRole('button', { name: '"key-40"', exact: true }).tap()
    await page.getByText('was set by this patch').waitFor()
    const shown = await boxOf(page, '.origin')
    expect(Math.round(shown.y + shown.height)).toBe(720)
    expect([Math.round(shown.x), Math.round(shown.width)]).toEqual([0, 360])
    expect(shown.height).toBeLessThan(0.6 * 720)
    await page.getByRole('heading', { name: /^Avatar/ }).tap()
    await page.locator('.origin').waitFor({ state: 'detached' })
  })

  it('is reached and left by keyboard, and told to screen readers', async () => {
    const page = await openHigh(DESKTOP)
    const button = page.getByRole('button', { name: '"key-60"', exact: true })
    expect(await button.getAttribute('aria-expanded')).toBe('false')
    await button.focus()
    await page.keyboard.press('Enter')
    const dialog = page.getByRole('dialog', { name: 'Which patch set /key-60' })
    await dialog.waitFor()
    expect(await button.getAttribute('aria-expanded')).toBe('true')
    await dialog.getByRole('status').getByText('was set by this patch').waitFor()
    for (const name of [/^Close$/, /^Number 1/]) {
      await page.keyboard.press('Tab')
      expect(
        await page.evaluate(
          () => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent,
        ),
      ).toMatch(name)
    }
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
    expect(await button.evaluate((element) => element === document.activeElement)).toBe(true)
  })
})

describe('long and deep values', () => {
  it('are folded with their size, and opened on demand', async () => {
    const signer = privateKeySigner(newKey())
    const text = `begin ${'x'.repeat(50_000)} end`
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`m${n}`, n]))
    const deep = { one: { two: { three: { four: { five: 'the bottom' } } } } }
    await createClient({ nodes: [node.url] }).put({
      signer,
      patch: { text, many, list: [...Array(40).keys()], deep, last: 1 },
    })
    const page = await browser.open(`${node.url}/#/avatar/${signer.avatar}`, PHONE)
    const article = page.getByRole('article', { name: 'Profile data' })
    await article.getByText('"last"').waitFor()
    expect((await article.boundingBox())!.height).toBeLessThan(1_000)
    expect(await article.innerText()).not.toContain('the bottom')

    await article.getByRole('button', { name: 'Show all 50,010 characters' }).click()
    expect(await article.innerText()).toContain(' end"')
    await article.getByRole('button', { name: 'Show less' }).click()
    expect(await article.innerText()).not.toContain(' end"')
    await article.getByRole('button', { name: 'many: 300 keys' }).click()
    await article.getByRole('button', { name: 'Show all 300' }).click()
    await article.getByText('"m299"').waitFor()
    await article.getByRole('button', { name: 'many: 300 keys' }).click()
    await article.getByText('"m299"').waitFor({ state: 'detached' })
    await article.getByRole('button', { name: 'list: 40 items' }).click()
    await article.getByRole('button', { name: 'two: 1 key' }).click()
    await article.getByText('"the bottom"').waitFor()
    await article.getByRole('button', { name: '"five"' }).click()
    await page.getByText('/deep/one/two/three/four/five was set by this patch').waitFor()
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0)
  })
})

describe('all that is to be said of an avatar', () => {
  it.each([
    ['a desktop', DESKTOP],
    ['a phone', PHONE],
  ])('stands in one place, and leaves the editor in sight on %s', async (_, options) => {
    const key = newKey()
    const { avatar } = privateKeySigner(key)
    const writer = createWriter(`crowded ${avatar}`)
    const first = writer.write({ a: 1 })
    const [one, two, lost] = [{ one: 1 }, { two: 2 }, { lost: 3 }].map((patch) =>
      writer.write(patch, { prev: cite(first) }),
    )
    await node.api.write([first, one!, two!, writer.write({ waits: 4 }, { prev: cite(lost!) })])
    const page = await browser.open(`${node.url}/#/avatar/${writer.avatar}/edit?as=json`, options)
    await page.getByLabel('Secret key').fill(Buffer.from(writer.secretKey).toString('hex'))
    await page.getByRole('button', { name: 'Use it' }).click()
    await page.getByText('Signing as').waitFor()

    // One change that the host refuses, and one that does not reach it.
    const refused = { id: null, status: 'refused', retry: false, code: 'not_hosted', message: 'Not on my list.' }
    await page.route('**/v2/records', (route) => route.fulfill({ json: { results: [refused] } }))
    await write(page, { a: 1, one: 1, two: 2, declined: 1 })
    await page.getByText('The host did not take it').waitFor()
    await page.getByRole('button', { name: 'Go on editing' }).click()
    await page.unroute('**/v2/records')
    await node.stop()
    await page.getByText('Offline: this host cannot be reached').waitFor()
    await write(page, { a: 1, one: 1, two: 2, waiting: 1 })
    await page.getByText('Signed, and stored on this device').waitFor()
    await page.getByRole('button', { name: 'Go on editing' }).click()

    const status = page.getByRole('region', { name: 'Status' })
    await status.getByText('Details, and 4 more notes').waitFor()
    const said = await status.textContent()
    for (const each of [
      'Offline',
      'a gap, 1 record missing',
      'A fork',
      '1 signed change not taken',
      '1 signed change stored',
    ]) {
      expect(said).toContain(each)
    }
    expect(await page.locator('main .notice').count()).toBe(0)
    await page.evaluate(() => scrollTo(0, 0))
    const editor = await boxOf(page, '#content')
    expect(editor.y).toBeLessThan((options.viewport?.height ?? 0) - 60)
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0)

    await status.getByText('Details, and 4 more notes').click()
    await status.getByText('1 signed change not taken by the host').click()
    await status.getByText('It says: Not on my list.').waitFor()
    await page.context().close()
    await node.restart()
  })

  async function write(page: Page, content: object): Promise<void> {
    await page.getByLabel('Content, as JSON').fill(JSON.stringify(content))
    await page.getByRole('button', { name: 'Review the change' }).click()
    await page.getByRole('button', { name: 'Sign and send' }).click()
  }
})
