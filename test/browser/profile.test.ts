import { Wallet } from 'ethers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Page } from 'playwright-core'
import { createClient } from '../../src/client/client.ts'
import { PROFILE_KEY, profileOf } from '../../src/client/profile.ts'
import { privateKeySigner } from '../../src/client/signers.ts'
import type { JsonObject } from '../../src/record/types.ts'
import { newKey } from '../support/keys.ts'
import { createCluster, type Cluster, type NodeProcess } from '../support/cluster.ts'
import { openBrowser, type Pages } from './pages.ts'
import { injectWallet } from './wallet.ts'

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

async function person(profile: JsonObject, others: JsonObject = {}) {
  const signer = privateKeySigner(newKey())
  await createClient({ nodes: [node.url] }).put({ signer, patch: { [PROFILE_KEY]: profile, ...others } })
  return signer
}

const shortOf = (avatar: string): string => `${avatar.slice(0, 10)}…${avatar.slice(-6)}`

async function open(avatar: string, rest = ''): Promise<Page> {
  const page = await browser.open(`${node.url}/#/avatar/${avatar}${rest}`)
  await page.getByText('Verified in your browser: 1 signature').waitFor()
  return page
}

const PIXEL =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='

describe('the header of an avatar', () => {
  it('shows name, picture, bio and links, names the page, and gives a link as a QR code', async () => {
    const signer = await person({
      name: 'Ada Lovelace',
      bio: 'Wrote the first program.',
      picture: PIXEL,
      links: [{ title: 'Notes', url: 'https://example.org/notes' }],
    })
    const page = await open(signer.avatar)
    const header = page.locator('.avatar-head')
    await header.getByRole('heading', { name: 'Ada Lovelace' }).waitFor()
    expect(await header.innerText()).toContain(shortOf(signer.avatar))
    expect(await header.innerText()).toContain('Wrote the first program.')
    expect(await page.title()).toBe(`Ada Lovelace (${shortOf(signer.avatar)}) – avatar-kv explorer`)
    expect(await header.locator('img.face').evaluate((image: HTMLImageElement) => image.naturalWidth)).toBe(1)
    const link = header.getByRole('link', { name: /Notes/ })
    expect(await link.innerText()).toContain('example.org')
    expect(await link.getAttribute('rel')).toBe('noopener noreferrer nofollow')

    await page.getByRole('button', { name: 'Share' }).click()
    const dialog = page.getByRole('dialog', { name: 'Share Ada Lovelace' })
    await dialog.getByRole('img', { name: /^QR code of/ }).waitFor()
    expect(await dialog.innerText()).toContain(`${node.url}/#/avatar/${signer.avatar}`)
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
    expect(browser.complaints).toEqual([])
  })

  it('draws an identicon that follows from the key alone', async () => {
    const faces: string[] = []
    const [one, other] = [await person({ name: 'Twin' }), await person({ name: 'Twin' })]
    for (const { avatar } of [one, one, other]) {
      const page = await open(avatar)
      faces.push(await page.locator('.avatar-head svg.face').innerHTML())
    }
    expect(faces[0]).toBe(faces[1])
    expect(faces[0]).not.toBe(faces[2])
  })

  it('says that the content is not checked yet, and verifies it in place', async () => {
    const signer = await person({ name: 'Ada' }, { city: 'Turin' })
    let release = (): void => {}
    const held = new Promise<void>((resolve) => (release = resolve))
    const page = await browser.open(`${node.url}/#/avatar/${signer.avatar}`, {}, (page) =>
      page.route('**/records?**', async (route) => {
        await held
        await route.continue()
      }),
    )
    await page.getByText('Not yet checked.').waitFor()
    await page.getByRole('article', { name: 'Profile data' }).getByText('"Turin"').waitFor()
    await page.getByRole('heading', { name: 'Ada' }).waitFor()
    // Titles stay in the history of the browser: only what was checked names the page.
    expect(await page.title()).toBe('Avatar – avatar-kv explorer')
    expect(await page.locator('main').innerText()).not.toContain('Verified')
    expect(await page.getByRole('button', { name: '"city"' }).count()).toBe(0)
    release()
    await page.getByText('Verified in your browser: 1 signature').waitFor()
    await page.getByText('Not yet checked.').waitFor({ state: 'detached' })
    expect(await page.title()).toContain('Ada')
  })
})

describe('a hostile profile', () => {
  it.each<[string, JsonObject]>([
    [
      'an SVG with a script',
      { picture: `data:image/svg+xml,<svg xmlns="http://www.w3.org/2000/svg" onload="document.title='x'"/>` },
    ],
    [
      'an address of a script',
      { picture: 'javascript:document.title=1', links: [{ title: 'x', url: 'javascript:document.title=1' }] },
    ],
    ['a page as picture', { picture: 'data:text/html;base64,PHNjcmlwdD4=' }],
    ['a picture that is no picture', { picture: 'data:image/png;base64,AAAA' }],
  ])('%s does nothing', async (_, profile) => {
    const signer = await person({ name: 'Mallory', ...profile })
    const page = await open(signer.avatar)
    await page.getByRole('heading', { name: 'Mallory' }).waitFor()
    expect(await page.title()).toContain('Mallory (0x0')
    expect(
      await page
        .locator('.avatar-head a[href^="javascript"], .avatar-head img[src^="data:text"], .avatar-head img[src*="svg"]')
        .count(),
    ).toBe(0)
    expect(browser.complaints.splice(0)).toEqual([])
  })

  it('a picture at an address is not loaded before the person asks for it', async () => {
    const signer = await person({ name: 'Mallory', picture: 'https://tracker.example/pixel.png' })
    const page = await open(signer.avatar)
    await page.getByRole('link', { name: /Picture/ }).waitFor()
    expect(browser.requests.filter((url) => url.includes('tracker.example'))).toEqual([])
    expect(await page.getByRole('link', { name: /Picture/ }).innerText()).toContain('tracker.example')
  })

  it('a name of marks, of one long word, or from right to left stays in its place, beside its key', async () => {
    const names = [
      `Z${'\u0341\u0346\u035a\u0353'.repeat(28)}`,
      'W'.repeat(256),
      'שרה כהן',
      'x\u0300\u0301\u0302\u0303'.repeat(20),
    ]
    for (const name of names) {
      const signer = await person({ name })
      const page = await browser.open(`${node.url}/#/avatar/${signer.avatar}`, {
        viewport: { width: 360, height: 740 },
      })
      await page.getByText('Verified in your browser').waitFor()
      expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0)
      expect(await page.locator('.avatar-head').innerText()).toContain(shortOf(signer.avatar))
      await page.goto(`${node.url}/#/`)
      await page.locator('.activity li').first().waitFor()
      await page.getByText(shortOf(signer.avatar)).first().waitFor()
      expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0)
      await page.context().close()
    }
  })

  it('look-alike names are told apart by their keys, and words of the page in a name are in no place of the page', async () => {
    const [real, fake] = [await person({ name: 'Bob' }), await person({ name: 'Воb' })]
    const imitation = await person({ name: 'Verified in your browser: 99 signatures', bio: 'live\n✓ 12 nodes' })
    const page = await browser.open(`${node.url}/#/`)
    for (const { avatar } of [real, fake, imitation]) await page.getByText(shortOf(avatar)).first().waitFor()
    const own = await browser.open(`${node.url}/#/avatar/${imitation.avatar}`)
    const status = own.getByRole('region', { name: 'Status' })
    await status.waitFor()
    expect(await status.innerText()).toContain('1 signature')
    expect(await own.locator('.avatar-head .status, .avatar-head .notice-title').count()).toBe(0)
  })
})

describe('the profile form', () => {
  it('makes a profile with a wallet, and leaves other data as it is', async () => {
    const wallet = Wallet.createRandom()
    const signer = privateKeySigner(wallet.privateKey)
    const client = createClient({ nodes: [node.url] })
    await client.put({ signer, patch: { [PROFILE_KEY]: { pronouns: 'she' }, 'com.example.app': { a: 1 } } })
    const page = await browser.open(`${node.url}/#/`, {}, injectWallet(wallet))
    await page.getByRole('button', { name: 'Connect' }).click()
    await page.getByRole('button', { name: 'Use my wallet' }).click()
    await page.getByRole('link', { name: 'Edit my profile' }).click()
    await page.getByLabel('Name', { exact: true }).fill('Ada Lovelace')
    await page.getByLabel('About').fill('Countess.')
    await page.getByRole('button', { name: 'Add a link' }).click()
    await page.getByLabel('Title of link 1').fill('Notes')
    await page.getByLabel('Address of link 1').fill('http://example.org')
    await page.getByRole('button', { name: 'Review the change' }).click()
    await page.getByText('Link 1 has no address that can be used').waitFor()
    await page.getByLabel('Address of link 1').fill('https://example.org')
    await page.getByLabel('Picture').setInputFiles({
      name: 'me.png',
      mimeType: 'image/png',
      buffer: Buffer.from(PIXEL.slice(PIXEL.indexOf(',') + 1), 'base64'),
    })
    await page.locator('.picture-field img.face').waitFor()
    await page.getByRole('button', { name: 'Review the change' }).click()
    expect(await page.locator('.review .changes').innerText()).toContain('/org.avatar-kv.profile/name')
    await page.getByRole('button', { name: 'Sign and send' }).click()
    await page.getByText('Your change arrived').waitFor()
    await page.getByRole('heading', { name: 'Ada Lovelace' }).waitFor()

    const content = (await node.api.avatar(signer.avatar))?.namespaces[0]?.content as JsonObject
    expect(content['com.example.app']).toEqual({ a: 1 })
    expect(content[PROFILE_KEY]).toMatchObject({ pronouns: 'she' })
    expect(profileOf(content)).toEqual({
      name: 'Ada Lovelace',
      bio: 'Countess.',
      picture: expect.stringMatching(/^data:image\/(webp|png);base64,/) as string,
      links: [{ title: 'Notes', url: 'https://example.org/' }],
    })
    expect(await client.profile(signer.avatar)).toEqual(profileOf(content))
    expect(browser.complaints).toEqual([])
  })

  it('a file that is no picture is told of, and a new key signs nothing before it is saved', async () => {
    const page = await browser.open(`${node.url}/#/write`)
    await page.getByRole('button', { name: 'Make a new key' }).click()
    await page.getByRole('link', { name: 'Edit my avatar' }).click()
    await page
      .getByLabel('Picture')
      .setInputFiles({ name: 'a.png', mimeType: 'image/png', buffer: Buffer.from('no picture') })
    await page.getByText('cannot read the file as a picture').waitFor()
    await page.getByLabel('Name', { exact: true }).fill('Eve')
    expect(await page.getByRole('button', { name: 'Review the change' }).isDisabled()).toBe(true)
    await page.getByRole('button', { name: 'I have saved it' }).click()
    await page.getByRole('button', { name: 'Review the change' }).click()
    await page.getByRole('button', { name: 'Sign and send' }).click()
    await page.getByText('Your change arrived').waitFor()
    await page.getByRole('heading', { name: 'Eve' }).waitFor()
    expect(browser.complaints).toEqual([])
  })
})
