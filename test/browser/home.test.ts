import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Page } from 'playwright-core'
import { createClient } from '../../src/client/client.ts'
import { PROFILE_KEY } from '../../src/client/profile.ts'
import { privateKeySigner, type Signer } from '../../src/client/signers.ts'
import { newKey } from '../support/keys.ts'
import { createCluster, type Cluster, type NodeProcess } from '../support/cluster.ts'
import { createWriter } from '../support/writer.ts'
import { openBrowser, type Pages } from './pages.ts'

/** More than two of the pages that the host gives. */
const NAMELESS = 120

let cluster: Cluster
let node: NodeProcess
let browser: Pages
const people = ['Zoë Ångström', 'Ada Lovelace', 'Grace Hopper']
const signers = new Map<string, Signer>()
beforeAll(async () => {
  cluster = await createCluster()
  node = await cluster.start('home')
  browser = await openBrowser()
  await node.api.write(Array.from({ length: NAMELESS }, (_, n) => createWriter(`nameless ${n}`).write({ n })))
  for (const name of people) {
    const signer = privateKeySigner(newKey())
    signers.set(name, signer)
    await createClient({ nodes: [node.url] }).put({ signer, patch: { [PROFILE_KEY]: { name } } })
  }
})
afterAll(async () => {
  await browser.close()
  await cluster.close()
})

const rows = (page: Page) => page.locator('.avatar-row')
const short = (name: string): string => {
  const avatar = signers.get(name)?.avatar ?? ''
  return `${avatar.slice(0, 10)}…${avatar.slice(-6)}`
}

describe('the avatars of the host', () => {
  it('are shown to the end', async () => {
    const page = await browser.open(node.url)
    await page.getByText(`${NAMELESS + people.length} avatars in all`).waitFor()
    const more = page.getByRole('button', { name: 'Show more' })
    await more.waitFor()
    while ((await more.count()) > 0) await more.click()
    await page.getByText('This is the end of the list.').waitFor()
    const links = await rows(page)
      .locator('a')
      .evaluateAll((all) => all.map((each) => (each as HTMLAnchorElement).href))
    expect(new Set(links).size).toBe(NAMELESS + people.length)
    expect(links.length).toBe(NAMELESS + people.length)
    expect(browser.complaints).toEqual([])
  })

  it('are ordered and filtered over all of them, and every name has its key beside it', async () => {
    const page = await browser.open(node.url)
    await rows(page).first().waitFor()
    await page.getByLabel('Order').selectOption({ label: 'Name' })
    const names = rows(page).locator('.name')
    await names.nth(2).waitFor()
    expect(await names.allInnerTexts()).toEqual(['Ada Lovelace', 'Grace Hopper', 'Zoë Ångström'])
    expect(await rows(page).first().innerText()).toContain(short('Ada Lovelace'))
    await page.getByLabel('Order').selectOption({ label: 'Last change' })
    // The nameless were signed a day ago, by their own word.
    await page.waitForFunction(() => document.querySelectorAll('.avatar-row:nth-child(-n + 3) .name').length === 3)
    await page.getByLabel('Filter by name or key').fill('angstrom')
    await page.waitForFunction(() => document.querySelectorAll('.avatar-row').length === 1)
    expect(await rows(page).innerText()).toContain('Zoë Ångström')
    await page.getByLabel('Filter by name or key').fill('nobody at all')
    await page.getByText('No avatar here fits “nobody at all”.').waitFor()
  })
})

describe('the search', () => {
  it('has the focus at the key /, finds a name, and takes a word for no platform', async () => {
    const page = await browser.open(node.url)
    await rows(page).first().waitFor()
    await page.keyboard.press('/')
    expect(await page.getByLabel('Find an avatar').evaluate((field) => field === document.activeElement)).toBe(true)
    await page.keyboard.type('hopper')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: '1 avatar with the name “hopper”' }).waitFor()
    await page.getByRole('link', { name: 'twitter/hopper' }).waitFor()
    await page.locator('.cards a').click()
    await page.getByRole('heading', { name: 'Grace Hopper' }).waitFor()
    // In a field the key writes.
    await page.keyboard.press('/')
    await page.keyboard.type('a/b')
    expect(await page.getByLabel('Find an avatar').inputValue()).toBe('a/b')
    expect(browser.complaints).toEqual([])
  })
})

it('what is written elsewhere appears in the latest activity by itself, with what was changed', async () => {
  const page = await browser.open(node.url)
  const first = page.locator('.activity li').first()
  await first.waitFor()
  const signer = signers.get('Ada Lovelace')!
  await createClient({ nodes: [node.url] }).put({ signer, patch: { 'com.example.player': { volume: 1 } } })
  await page.waitForFunction(() => /Ada Lovelace/.test(document.querySelector('.activity li')?.textContent ?? ''))
  expect(await first.innerText()).toMatch(/changed com\.example\.player[\s\S]*just now/)
  expect(await first.innerText()).toContain(short('Ada Lovelace'))
  expect(await page.locator('.numbers').innerText()).toContain('New since the start')
  await first.locator('a').click()
  await page.locator('.entry.chosen').waitFor()
  expect(browser.complaints).toEqual([])
})

it('a host without avatars offers three ways to begin', async () => {
  const empty = await cluster.start('empty')
  const page = await browser.open(empty.url)
  await page.getByRole('heading', { name: 'Nothing here yet. Three ways to begin' }).waitFor()
  for (const [name, shows] of [
    [/^Make a profile/, 'Write as yourself'],
    [/^Import an archive/, 'Drop an archive here'],
    [/^Connect a peer/, 'Connect to me'],
  ] as const) {
    await page.getByRole('link', { name }).click()
    await page.getByText(shows).first().waitFor()
    await page.getByRole('link', { name: 'Avatars', exact: true }).click()
  }
  expect(browser.complaints).toEqual([])
})
