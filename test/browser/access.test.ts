import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { privateKeySigner } from '../../src/client/signers.ts'
import { newKey } from '../support/keys.ts'
import { createCluster, type Cluster, type NodeProcess } from '../support/cluster.ts'
import { cite, createWriter } from '../support/writer.ts'
import { openBrowser, type Pages } from './pages.ts'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
/** Where to put pictures of all pages, for people to look at; none are taken where it is not set. */
const PICTURES = process.env['EXPLORER_PICTURES']

let cluster: Cluster
let node: NodeProcess
let browser: Pages
const key = newKey()
const { avatar } = privateKeySigner(key)
const forked = createWriter('forked and gapped')
beforeAll(async () => {
  cluster = await createCluster()
  ;[node] = (await cluster.line(2)) as [NodeProcess, NodeProcess]
  browser = await openBrowser()
  const client = createClient({ nodes: [node.url] })
  const signer = privateKeySigner(key)
  await client.put({
    signer,
    patch: {
      'org.avatar-kv.profile': {
        name: 'Ada Lovelace',
        bio: 'Counts.',
        links: [{ title: 'Notes', url: 'https://example.org' }],
      },
      name: 'Ada Lovelace',
      bio: 'Wrote the first program. '.repeat(6),
      links: ['https://example.org/a-rather-long-address-that-does-not-fit-on-a-phone', { title: 'notes', year: 1843 }],
      settings: { theme: 'dark', public: true, tags: {} },
    },
  })
  await client.put({ signer, platform: 'twitter', identity: 'ada', patch: { verified: false, followers: 1815 } })
  await client.put({ signer, patch: { settings: { theme: null, language: 'en' } } })
  const first = forked.write({ a: 1 })
  const [one, two, lost] = [{ one: 1 }, { two: 2 }, { lost: 3 }].map((patch) =>
    forked.write(patch, { prev: cite(first) }),
  )
  const waits = forked.write({ waits: 4 }, { prev: cite(lost!) })
  await node.api.write([first, one!, two!, waits])
})
afterAll(async () => {
  await browser.close()
  await cluster.close()
})

interface View {
  readonly name: string
  readonly hash: string
  readonly ready: string
  readonly act?: (page: Page) => Promise<void>
}

const VIEWS: readonly View[] = [
  { name: 'search', hash: '#/', ready: 'Avatars on this host' },
  { name: 'search-identity', hash: '#/?q=twitter/ada', ready: '1 avatar claims twitter/ada' },
  { name: 'search-wrong', hash: '#/?q=0x02', ready: 'such as twitter/alice' },
  { name: 'search-name', hash: '#/?q=what', ready: 'No avatar is named' },
  {
    name: 'avatar',
    hash: `#/avatar/${avatar}`,
    ready: 'Verified in your browser',
    async act(page) {
      await page.getByText('Verified in your browser').click()
      await page.getByText('Every record carries').waitFor()
      await page.getByRole('button', { name: '"language"' }).click()
      await page.getByText('was set by').waitFor()
    },
  },
  {
    name: 'avatar-empty',
    hash: `#/avatar/0x02${'79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798'}`,
    ready: 'Nothing is known',
  },
  {
    name: 'history',
    hash: `#/avatar/${avatar}/history`,
    ready: 'the newest first',
    async act(page) {
      await page.locator('.entry summary').first().click()
      await page.getByText('Signed text and signature').first().click()
    },
  },
  { name: 'history-forked', hash: `#/avatar/${forked.avatar}/history`, ready: 'the newest first' },
  {
    name: 'edit',
    hash: `#/avatar/${avatar}/edit?as=json`,
    ready: 'Content, as JSON',
    async act(page) {
      await page.getByLabel('Secret key').fill(Buffer.from(key).toString('hex'))
      await page.getByRole('button', { name: 'Use it' }).click()
      await page.getByLabel('Content, as JSON').fill('{"name": "Ada King", "bio": "short"}')
      await page.getByRole('button', { name: 'Review the change' }).click()
      await page.getByRole('heading', { name: 'Review the change' }).waitFor()
    },
  },
  {
    name: 'edit-wrong',
    hash: `#/avatar/${avatar}/edit?as=json`,
    ready: 'Content, as JSON',
    async act(page) {
      await page.getByLabel('Content, as JSON').fill('{"name": }')
      await page.getByText('That is not JSON yet').waitFor()
    },
  },
  {
    name: 'profile-form',
    hash: `#/avatar/${avatar}/edit`,
    ready: 'About',
    act: async (page) => await page.getByRole('button', { name: 'Connect' }).click(),
  },
  {
    name: 'share',
    hash: `#/avatar/${avatar}`,
    ready: 'Verified in your browser',
    async act(page) {
      await page.getByRole('button', { name: 'Share' }).click()
      await page.getByRole('img', { name: /^QR code/ }).waitFor()
    },
  },
  {
    name: 'table',
    hash: `#/avatar/${avatar}`,
    ready: 'Verified in your browser',
    act: async (page) => await page.getByRole('button', { name: 'Table' }).click(),
  },
  {
    name: 'move',
    hash: `#/avatar/${avatar}/move`,
    ready: 'Move to another node',
    // This host, and the other one, which has the same by gossip.
    act: async (page) => await page.getByText('2 hosts signed that they store this avatar').waitFor(),
  },
  {
    name: 'write',
    hash: '#/write',
    ready: 'Who signs?',
    act: async (page) => await page.getByRole('button', { name: 'Make a new key' }).click(),
  },
  {
    name: 'archives',
    hash: '#/archives',
    ready: 'Drop an archive here',
    async act(page) {
      const archive = await (await fetch(`${node.url}/v2/archives`)).text()
      await page.locator('input[type=file]').setInputFiles({
        name: 'all.avatar-kv.ndjson',
        mimeType: 'application/x-ndjson',
        buffer: Buffer.from(archive.replace('Ada', 'Eve')),
      })
      await page.getByText('This archive is damaged').waitFor()
    },
  },
  { name: 'network', hash: '#/network', ready: 'Peers' },
  { name: 'unknown', hash: '#/nowhere', ready: 'There is no such page' },
]

const LOOKS: readonly { readonly look: string; readonly options: BrowserContextOptions }[] = [
  { look: 'light', options: { colorScheme: 'light' } },
  { look: 'dark', options: { colorScheme: 'dark' } },
  {
    look: 'phone-dark',
    options: { colorScheme: 'dark', viewport: { width: 360, height: 720 }, isMobile: true, hasTouch: true },
  },
  {
    look: 'phone',
    options: { colorScheme: 'light', viewport: { width: 360, height: 720 }, isMobile: true, hasTouch: true },
  },
]

interface Finding {
  readonly id: string
  readonly impact: string | null
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[]
}

/** Runs axe-core in the page, past its policy, which keeps scripts of others out. */
async function findings(page: Page): Promise<string[]> {
  await page.evaluate(AXE)
  const { violations } = (await page.evaluate(
    // Targets of 24 px (WCAG 2.2, 2.5.8): a rule that axe leaves off.
    `axe.run(document, { rules: { 'target-size': { enabled: true } } })`,
  )) as { violations: Finding[] }
  return violations.flatMap(({ id, impact, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${impact} ${id}: ${html} ${failureSummary ?? ''}`),
  )
}

describe.each(LOOKS)('every page, $look', ({ look, options }) => {
  it.each(VIEWS)('$name', async ({ name, hash, ready, act }) => {
    const page = await browser.open(`${node.url}/${hash}`, options)
    await page.getByText(ready).first().waitFor()
    await act?.(page)
    if (PICTURES !== undefined) {
      await mkdir(PICTURES, { recursive: true })
      await page.screenshot({ path: join(PICTURES, `${name}-${look}.png`), fullPage: true })
    }
    expect(await findings(page)).toEqual([])
    // Nothing runs out of the window: a phone need not be moved sideways.
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0)
    expect(browser.complaints).toEqual([])
    await page.context().close()
  })
})

it('moves nothing where a person wants that, and prints without what is only for screens', async () => {
  const page = await browser.open(`${node.url}/#/avatar/${avatar}`, { reducedMotion: 'reduce' })
  await page.getByText('Verified in your browser').waitFor()
  const moving = await page.evaluate(
    () =>
      [...document.querySelectorAll('*')].filter((each) => {
        const { animationName, transitionDuration } = getComputedStyle(each)
        return animationName !== 'none' || transitionDuration.split(', ').some((time) => Number.parseFloat(time) > 0)
      }).length,
  )
  expect(moving).toBe(0)
  await page.emulateMedia({ media: 'print' })
  expect(await page.locator('.top').isVisible()).toBe(false)
  expect(await page.getByRole('button', { name: 'Share' }).isVisible()).toBe(false)
  expect(await page.getByRole('article', { name: 'Profile data' }).isVisible()).toBe(true)
})

describe('by keyboard alone', () => {
  /** Tabs on until what has the focus has this text or name. */
  async function tabTo(page: Page, wanted: RegExp): Promise<void> {
    const seen: string[] = []
    for (let n = 0; n < 60; n++) {
      await page.keyboard.press('Tab')
      const focus = await page.evaluate(() => {
        const element = document.activeElement as HTMLElement | null
        if (element === null || element === document.body) return { name: '', isShown: true }
        const labels = (element as HTMLInputElement).labels
        const name = element.getAttribute('aria-label') ?? labels?.[0]?.textContent ?? element.textContent
        const { outlineStyle, outlineWidth } = getComputedStyle(element)
        return { name, isShown: outlineStyle !== 'none' && Number.parseFloat(outlineWidth) >= 2 }
      })
      seen.push(focus.name)
      expect(focus.isShown, `the focus shows on ${focus.name}`).toBe(true)
      if (wanted.test(focus.name)) return
    }
    throw new Error(`The Tab key does not come to ${String(wanted)}: ${seen.join(' | ')}`)
  }

  it('an avatar is found, looked through, changed and signed', async () => {
    const page = await browser.open(node.url)
    await page.getByText('Avatars on this host').waitFor()
    await tabTo(page, /^Skip to the content$/)
    await page.keyboard.press('Enter')
    await tabTo(page, /^Find an avatar$/)
    await page.keyboard.type('twitter/ada')
    await page.keyboard.press('Enter')
    await page.getByText('1 avatar claims').waitFor()
    await tabTo(page, new RegExp(`${avatar.slice(0, 10)}`))
    await page.keyboard.press('Enter')
    await page.getByText('Verified in your browser').waitFor()
    await tabTo(page, /^"followers"$/)
    await page.keyboard.press('Space')
    await page.getByText('/followers was set by this patch').waitFor()
    await page.keyboard.press('Escape')
    await page.getByText('/followers was set by this patch').waitFor({ state: 'detached' })
    await page.goto(`${node.url}/#/avatar/${avatar}/edit?as=json`)
    await page.getByLabel('Content, as JSON').waitFor()
    await tabTo(page, /^Secret key/)
    await page.keyboard.type(Buffer.from(key).toString('hex'))
    await page.keyboard.press('Enter')
    await page.getByText('Signing as').waitFor()
    await tabTo(page, /^Content, as JSON$/)
    await page.keyboard.press('ControlOrMeta+a')
    await page.keyboard.type('{"typed": "by hand"}')
    await tabTo(page, /^Review the change$/)
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Review the change' }).waitFor()
    await tabTo(page, /^Sign and send$/)
    await page.keyboard.press('Enter')
    await page.getByText('Your change arrived').waitFor()
    expect(browser.complaints).toEqual([])
  })
})
