import { readFile } from 'node:fs/promises'
import { Wallet } from 'ethers'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { privateKeySigner } from '../../src/client/signers.ts'
import { buildSnapshot } from '../../src/record/build.ts'
import { signRecord } from '../../src/record/sign.ts'
import { newKey } from '../support/keys.ts'
import { createCluster, type Cluster, type NodeProcess } from '../support/cluster.ts'
import { openBrowser, type Pages } from './pages.ts'
import { announceWallet, DECLINED, injectWallet, type Declines } from './wallet.ts'

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

async function useKey(page: Page, key: Uint8Array): Promise<void> {
  await page.getByLabel('Secret key, 64 hex digits').fill(Buffer.from(key).toString('hex'))
  await page.getByRole('button', { name: 'Use it' }).click()
  await page.getByText('with a key in this page’s memory').waitFor()
}

async function write(page: Page, content: unknown): Promise<string> {
  await page.getByLabel('Content, as JSON').fill(JSON.stringify(content))
  await page.getByRole('button', { name: 'Review the change' }).click()
  await page.getByText('The exact text to sign').click()
  const text = await page.getByLabel('Text to be signed').innerText()
  await page.getByRole('button', { name: 'Sign and send' }).click()
  return text
}

/** Puts a snapshot in place of the history, as another device would. */
async function snapshot(key: Uint8Array): Promise<void> {
  const { avatar } = privateKeySigner(key)
  const { tips, namespaces } = await createClient({ nodes: [node.url] }).getVerified(avatar)
  const body = buildSnapshot({
    avatar,
    network: 'main',
    createdAt: Math.floor(Date.now() / 1000),
    uuid: '00000000-0000-4000-8000-000000000001',
    prev: tips,
    state: namespaces.map(({ platform, identity, content }) => ({ platform, identity, content })),
    parts: [],
  })
  const { payload, signature } = signRecord(body, key)
  const record = { payload: Buffer.from(payload).toString(), signature: `0x${Buffer.from(signature).toString('hex')}` }
  const answer = await fetch(`${node.url}/v2/records`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ records: [record] }),
  })
  expect(await answer.json()).toMatchObject({ results: [{ status: 'stored' }] })
}

describe('writing', () => {
  it('with a wallet: shows the patch and the exact text, and sees it arrive', async () => {
    const wallet = Wallet.createRandom()
    const declines: Declines = { now: undefined }
    const page = await browser.open(`${node.url}/#/write`, {}, injectWallet(wallet, declines))
    await page.getByRole('button', { name: 'Use my wallet' }).click()
    await page.getByRole('link', { name: 'Edit my avatar' }).click()
    await page.getByRole('link', { name: 'Advanced' }).click()
    await page.getByRole('heading', { name: 'Edit', exact: true }).waitFor()

    const text = await write(page, { name: 'Ada', links: ['https://example.org'] })
    await page.getByText('Your change arrived').waitFor()
    const avatar = wallet.publicKey
    const records = (await (await fetch(`${node.url}/v2/avatars/${avatar}/records`)).json()) as {
      records: { payload: string }[]
    }
    expect(records.records.map(({ payload }) => payload)).toEqual([text])

    await page.getByRole('button', { name: 'Go on editing' }).click()
    await page.getByLabel('Content, as JSON').fill('{"links": ["https://example.org"], "city": "Turin"}')
    declines.now = DECLINED
    await page.getByRole('button', { name: 'Review the change' }).click()
    expect(await page.locator('.changes').innerText()).toMatch(/\/name[\s\S]*"Ada"[\s\S]*\/city[\s\S]*"Turin"/)
    await page.getByText('The exact text to sign').click()
    const signed = JSON.parse(await page.getByLabel('Text to be signed').innerText()) as { patch: unknown }
    expect(signed.patch).toEqual({ name: null, city: 'Turin' })
    await page.getByRole('button', { name: 'Sign and send' }).click()
    await page.getByText('You declined in the wallet. Nothing was written.').waitFor()
    expect(await page.locator('.error:not(:empty)').count()).toBe(0)
    declines.now = undefined
    await page.getByRole('button', { name: 'Sign and send' }).click()
    await page.getByText('Your change arrived').waitFor()
    expect((await node.api.avatar(avatar as `0x${string}`))?.namespaces[0]?.content).toEqual({
      links: ['https://example.org'],
      city: 'Turin',
    })
    expect(browser.complaints).toEqual([])
  })

  it('with one of several wallets, which announce themselves', async () => {
    const [first, second, legacy] = [Wallet.createRandom(), Wallet.createRandom(), Wallet.createRandom()]
    const declines: Declines = { now: DECLINED }
    const page = await browser.open(`${node.url}/#/write`, {}, async (page) => {
      await announceWallet('Fox \u202ewallet', first)(page)
      await announceWallet('Rabbit', second, declines)(page)
      await injectWallet(legacy)(page)
      // What is no wallet is passed over, and a flood of wallets is cut.
      await page.addInitScript(() => {
        addEventListener('eip6963:requestProvider', () => {
          for (const detail of [undefined, {}, { info: { uuid: 'x', name: 'no provider' } }]) {
            dispatchEvent(new CustomEvent('eip6963:announceProvider', { detail }))
          }
          for (let n = 0; n < 500; n++) {
            const info = { uuid: `flood ${n}`, name: `flood ${n}`, icon: 'https://stranger.example/icon.png' }
            const detail = { info, provider: { request: () => Promise.resolve() } }
            dispatchEvent(new CustomEvent('eip6963:announceProvider', { detail }))
          }
        })
      })
    })
    await page.getByRole('button', { name: 'Use another wallet' }).waitFor()
    await page.getByRole('button', { name: 'Use Fox \\u202ewallet' }).waitFor()
    expect(await page.getByRole('button', { name: /^Use flood/ }).count()).toBeLessThanOrEqual(20)
    expect(await page.locator('.wallets img').count()).toBe(2)

    await page.getByRole('button', { name: 'Use Rabbit' }).click()
    await page.getByText('You declined in the wallet. Nothing was signed.').waitFor()
    expect(await page.locator('.error:not(:empty)').count()).toBe(0)
    declines.now = undefined
    await page.getByRole('button', { name: 'Use Rabbit' }).click()
    await page.getByText('with Rabbit').waitFor()
    await page.getByRole('link', { name: 'Edit my avatar' }).click()
    await page.getByRole('link', { name: 'Advanced' }).click()
    await write(page, { name: 'Ada' })
    await page.getByText('Your change arrived').waitFor()
    expect((await node.api.avatar(second.publicKey as `0x${string}`))?.namespaces[0]?.content).toEqual({ name: 'Ada' })
    expect(browser.complaints).toEqual([])
  })

  it('with a new key: it is shown once, and kept nowhere', async () => {
    const page = await browser.open(`${node.url}/#/write`)
    await page.getByRole('button', { name: 'Make a new key' }).click()
    const secret = await page.locator('.secret code').innerText()
    const { avatar } = privateKeySigner(secret)
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'Download the key file' }).click(),
    ])
    expect((await readFile(await download.path(), 'utf8')).trim()).toBe(secret)
    await page.getByRole('button', { name: 'I have saved it' }).click()
    await page.getByRole('link', { name: 'Edit my avatar' }).click()
    await page.getByRole('link', { name: 'Advanced' }).click()
    await page.getByLabel('What to edit').selectOption({ label: 'A linked account…' })
    await page.getByLabel('Platform').fill('twitter')
    await page.getByLabel('Account', { exact: true }).fill('ada')
    await page.getByRole('button', { name: 'Open' }).click()
    await write(page, { bio: 'x' })
    await page.getByText('Your change arrived').waitFor()
    expect((await node.api.avatar(avatar))?.namespaces).toEqual([
      { platform: 'twitter', identity: 'ada', content: { bio: 'x' } },
    ])
    const kept = await page.evaluate(() =>
      JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]),
    )
    expect(kept).not.toContain(secret.slice(2))
    await page.reload()
    await page.getByText('Who signs?').waitFor()
  })

  it('with a new key: it stays to be seen wherever the person goes, until it is said to be kept', async () => {
    const other = privateKeySigner(newKey())
    await createClient({ nodes: [node.url] }).put({ signer: other, patch: { a: 1 } })
    const page = await browser.open(`${node.url}/#/avatar/${other.avatar}/edit?as=json`)
    await page.getByRole('button', { name: 'Make a new key' }).click()
    const shown = page.locator('.secret code')
    const secret = await shown.innerText()
    await page.getByRole('link', { name: 'Edit yours' }).click()
    await page.getByText('This avatar is not yours').waitFor({ state: 'detached' })
    await page.getByRole('heading', { name: 'Edit', exact: true }).waitFor()
    expect(await shown.innerText()).toBe(secret)
    for (const tab of ['Data', 'History', 'Edit']) await page.getByRole('link', { name: tab, exact: true }).click()
    expect(await shown.innerText()).toBe(secret)
    const leaves = () => page.evaluate(() => dispatchEvent(new Event('beforeunload', { cancelable: true })))
    expect(await leaves()).toBe(false)
    await page.evaluate(() => (location.hash = '#/write'))
    await page.getByRole('heading', { name: 'Write as yourself' }).waitFor()
    expect(await shown.innerText()).toBe(secret)

    await page.getByRole('button', { name: 'I have saved it' }).click()
    await shown.waitFor({ state: 'detached' })
    await page.getByText('with a key in this page’s memory').waitFor()
    expect(await leaves()).toBe(true)
    await page.getByRole('link', { name: 'Edit my avatar' }).click()
    await page.getByRole('link', { name: 'Advanced' }).click()
    await page.getByRole('heading', { name: 'Edit', exact: true }).waitFor()
    expect(await shown.count()).toBe(0)

    await page.getByRole('button', { name: 'Forget the key' }).click()
    await page.getByRole('button', { name: 'Make a new key' }).click()
    expect(await shown.innerText()).not.toBe(secret)
    await page.getByRole('button', { name: 'Forget the key' }).click()
    await page.getByText('Who signs?').waitFor()
    expect(await shown.count()).toBe(0)
  })

  it('a draft outlives a look elsewhere, of each content its own, until it is sent or dropped', async () => {
    const key = newKey()
    const signer = privateKeySigner(key)
    await createClient({ nodes: [node.url] }).put({ signer, patch: { a: 1 } })
    const page = await browser.open(`${node.url}/#/avatar/${signer.avatar}/edit?as=json`)
    await page.getByText('Verified in your browser: 1 signature').waitFor()
    const box = page.getByLabel('Content, as JSON')
    const leaves = () => page.evaluate(() => dispatchEvent(new Event('beforeunload', { cancelable: true })))
    expect(await leaves()).toBe(true)
    await box.fill('{"a": 1, "mine": tru')
    expect(await leaves()).toBe(false)
    await page.getByRole('link', { name: 'History', exact: true }).click()
    await page.getByText('the newest first').waitFor()
    await page.getByRole('link', { name: 'Avatars', exact: true }).click()
    await page.getByRole('heading', { name: 'Avatars on this host' }).waitFor()
    await page.goto(`${node.url}/#/avatar/${signer.avatar}/edit?as=json`)
    expect(await box.inputValue()).toBe('{"a": 1, "mine": tru')

    await page.getByLabel('What to edit').selectOption('new')
    await page.getByLabel('Platform').fill('twitter')
    await page.getByLabel('Account').fill('alice')
    await page.getByRole('button', { name: 'Open' }).click()
    await box.fill('{"bio": "hi"}')
    await page.getByRole('link', { name: 'Data', exact: true }).click()
    await createClient({ nodes: [node.url] }).put({ signer, patch: { b: 2 } })
    await page.getByText('Verified in your browser: 2 signatures').waitFor()
    await page.getByRole('link', { name: 'Edit', exact: true }).click()
    await page.getByRole('link', { name: 'Advanced' }).click()
    expect(await box.inputValue()).toBe('{"bio": "hi"}')
    await useKey(page, key)
    await page.getByRole('button', { name: 'Review the change' }).click()
    await page.getByRole('button', { name: 'Sign and send' }).click()
    await page.getByText('Your change arrived').waitFor()
    await page.getByLabel('What to edit').selectOption('0')
    expect(await box.inputValue()).toBe('{"a": 1, "mine": tru')
    await page.getByText('The content changed meanwhile').waitFor()
    await page.getByRole('button', { name: 'Discard what I typed' }).click()
    expect(JSON.parse(await box.inputValue())).toEqual({ a: 1, b: 2 })
    expect(await leaves()).toBe(true)
  })

  it('says what is wrong with a draft, and lets nobody sign for another', async () => {
    const signer = privateKeySigner(newKey())
    await createClient({ nodes: [node.url] }).put({ signer, patch: { a: 1 } })
    const page = await browser.open(`${node.url}/#/avatar/${signer.avatar}/edit?as=json`)
    const content = page.getByLabel('Content, as JSON')
    await content.fill('{"a": 1,}')
    await page.getByText('That is not JSON yet').waitFor()
    await content.fill('{"a": null}')
    await page.getByText('/a is null, which no content can hold').waitFor()
    await content.fill('{"a": 4611686018427387905}')
    await page.locator('.error').getByText('4611686018427387905').waitFor()
    await content.fill('{"a": 1, "a": 2}')
    await page.locator('.error').getByText('/a').waitFor()
    await content.fill('[]')
    await page.getByText('A content is an object').waitFor()
    await content.fill('{"a": 2}')
    expect(await page.getByRole('button', { name: 'Review the change' }).isDisabled()).toBe(true)
    await useKey(page, newKey())
    await page.getByText('This avatar is not yours').waitFor()
    expect(await page.getByRole('button', { name: 'Review the change' }).isDisabled()).toBe(true)
  })

  it('tells when the content changed meanwhile, and changes only what was meant', async () => {
    const key = newKey()
    const signer = privateKeySigner(key)
    const client = createClient({ nodes: [node.url] })
    await client.put({ signer, patch: { a: 1, b: 1 } })
    const page = await browser.open(`${node.url}/#/avatar/${signer.avatar}/edit?as=json`)
    await useKey(page, key)
    await page.getByLabel('Content, as JSON').fill('{"a": 2, "b": 1}')
    await client.put({ signer, patch: { b: 5 } })
    await page.getByText('Other keys were changed from another device').waitFor()
    await client.put({ signer, patch: { a: 7 } })
    await page.getByText('Your patch would overwrite that change').waitFor()
    await page.getByRole('button', { name: 'Review the change' }).click()
    await page.getByRole('button', { name: 'Sign and send' }).click()
    await page.getByText('Your change arrived').waitFor()
    expect((await node.api.avatar(signer.avatar))?.namespaces[0]?.content).toEqual({ a: 2, b: 5 })
  })
})

it('a snapshot whose history is gone is not said to have put values where there was nothing', async () => {
  const key = newKey()
  const signer = privateKeySigner(key)
  const client = createClient({ nodes: [node.url] })
  await client.put({ signer, patch: { count: 0 } })
  await client.put({ signer, patch: { count: 1 } })
  await snapshot(key)
  await client.put({ signer, patch: { count: 2 } })
  const page = await browser.open(`${node.url}/#/avatar/${signer.avatar}/history`)
  await page.getByText('the newest first').waitFor()
  const entries = page.locator('.entry')
  await entries.nth(0).locator('summary').first().click()
  await entries.nth(1).locator('summary').first().click()
  await page.getByText('What stood there before is not known').waitFor()
  expect(await entries.nth(0).locator('.changes').innerText()).toMatch(/before:\s*1\s*after:\s*2/)
  expect(await entries.nth(1).innerText()).toContain('Snapshot')
  expect(await entries.nth(1).locator('.changes').innerText()).not.toMatch(/before/)
})

describe('offline', () => {
  it('changes are signed, kept, and sent once the host answers, even after the page was closed', async () => {
    const key = newKey()
    const signer = privateKeySigner(key)
    await createClient({ nodes: [node.url] }).put({ signer, patch: { n: 0 } })
    const page = await browser.open(`${node.url}/#/avatar/${signer.avatar}/edit?as=json`)
    await page.getByText('Verified in your browser: 1 signature').waitFor()
    await useKey(page, key)
    await page.context().setOffline(true)
    await write(page, { n: 1 })
    await page.getByText('Signed, and stored on this device').waitFor()
    await page.getByRole('button', { name: 'Go on editing' }).click()
    await write(page, { n: 1, m: 2 })
    await page.getByText('2 signed changes stored on this device').waitFor()
    expect((await node.api.avatar(signer.avatar))?.namespaces[0]?.content).toEqual({ n: 0 })

    // Closed while offline, opened again online.
    const later = await page.context().newPage()
    await page.close()
    await later.context().setOffline(false)
    await later.goto(`${node.url}/#/avatar/${signer.avatar}`)
    await later.getByText('Verified in your browser: 3 signatures').waitFor()
    await later.getByText('stored on this device').waitFor({ state: 'detached' })
    const answer = await node.api.avatar(signer.avatar)
    expect(answer?.namespaces[0]?.content).toEqual({ n: 1, m: 2 })
    // Written one on the other: no fork.
    expect(answer?.tips_total).toBe(1)
  })

  it('two pages that write offline at once lose nothing', async () => {
    const key = newKey()
    const signer = privateKeySigner(key)
    await createClient({ nodes: [node.url] }).put({ signer, patch: { n: 0 } })
    const one = await browser.open(`${node.url}/#/avatar/${signer.avatar}/edit?as=json`)
    const two = await one.context().newPage()
    await two.goto(`${node.url}/#/avatar/${signer.avatar}/edit?as=json`)
    for (const page of [one, two]) {
      await page.getByText('Verified in your browser: 1 signature').waitFor()
      await useKey(page, key)
    }
    await one.context().setOffline(true)
    await write(one, { n: 0, one: 1 })
    await two.getByText('1 signed change stored on this device').waitFor()
    await write(two, { n: 0, one: 1, two: 2 })
    await one.getByText('2 signed changes stored on this device').waitFor()
    await one.context().setOffline(false)
    for (const page of [one, two]) {
      await page.getByText('Verified in your browser: 3 signatures').waitFor()
      await page.getByText('stored on this device').first().waitFor({ state: 'detached' })
    }
    expect((await node.api.avatar(signer.avatar))?.namespaces[0]?.content).toEqual({ n: 0, one: 1, two: 2 })
  })

  it('a change whose place a snapshot took is told of when the page is opened again, and made again', async () => {
    const key = newKey()
    const signer = privateKeySigner(key)
    const client = createClient({ nodes: [node.url] })
    await client.put({ signer, patch: { n: 0 } })
    const page = await browser.open(`${node.url}/#/avatar/${signer.avatar}/edit?as=json`)
    await page.getByText('Verified in your browser: 1 signature').waitFor()
    await useKey(page, key)
    // Not offline: a page that is closed is online for a moment, and sends.
    await page.context().route('**/v2/records', (route) => route.abort())
    await write(page, { n: 0, mine: 1 })
    await page.getByText('Signed, and stored on this device').waitFor()
    const later = await page.context().newPage()
    await page.close()
    await client.put({ signer, patch: { n: 1 } })
    await client.put({ signer, patch: { n: 2 } })
    await snapshot(key)

    await later.context().unroute('**/v2/records')
    await later.goto(`${node.url}/#/avatar/${signer.avatar}`)
    await later.getByText('1 signed change not taken by the host').waitFor()
    await later.reload()
    await later.getByText('If the content lacks this change, make it again').waitFor()
    await later.getByRole('link', { name: 'Make it again' }).click()
    await useKey(later, key)
    expect(JSON.parse(await later.getByLabel('Content, as JSON').inputValue())).toEqual({ n: 2, mine: 1 })
    await later.getByRole('button', { name: 'Review the change' }).click()
    await later.getByRole('button', { name: 'Sign and send' }).click()
    await later.getByText('Your change arrived').waitFor()
    await later.getByText('not taken by the host').waitFor({ state: 'detached' })
    expect((await node.api.avatar(signer.avatar))?.namespaces[0]?.content).toEqual({ n: 2, mine: 1 })
  })

  it('a change that the host refuses is kept with the reason, and sent again when the person says so', async () => {
    const key = newKey()
    const signer = privateKeySigner(key)
    await createClient({ nodes: [node.url] }).put({ signer, patch: { n: 0 } })
    const page = await browser.open(`${node.url}/#/avatar/${signer.avatar}/edit?as=json`)
    await page.getByText('Verified in your browser: 1 signature').waitFor()
    await useKey(page, key)
    let asked = 0
    const verdict = { id: null, status: 'refused', retry: false, code: 'not_hosted', message: 'Not on my list.' }
    await page.context().route('**/v2/records', (route) => {
      asked += 1
      return route.fulfill({ json: { results: [verdict] } })
    })
    await write(page, { n: 1 })
    await page.getByText('The host did not take it').waitFor()
    await page.reload()
    await page.getByText('1 signed change not taken by the host').waitFor()
    await page.getByText('It says: Not on my list.').waitFor()
    await page.getByRole('link', { name: 'Avatars', exact: true }).click()
    await page.getByText('1 signed change not with this host yet').waitFor()
    await page.getByRole('link', { name: '1 change', exact: true }).click()
    expect(asked).toBe(1)
    await page.context().unroute('**/v2/records')
    await page.getByRole('button', { name: 'Send it again' }).click()
    await page.getByText('not taken by the host').waitFor({ state: 'detached' })
    await page.getByText('Verified in your browser: 2 signatures').waitFor()
    expect((await node.api.avatar(signer.avatar))?.namespaces[0]?.content).toEqual({ n: 1 })
  })

  it('a browser that has no room to keep a change says so, and goes on sending it', async () => {
    const key = newKey()
    const signer = privateKeySigner(key)
    await createClient({ nodes: [node.url] }).put({ signer, patch: { n: 0 } })
    const page = await browser.open(`${node.url}/#/avatar/${signer.avatar}/edit?as=json`)
    await page.getByText('Verified in your browser: 1 signature').waitFor()
    await useKey(page, key)
    await page.evaluate(() => {
      for (let at = 0, size = 8 * 1024 * 1024; size >= 1;) {
        try {
          localStorage.setItem(`filler-${at}`, 'x'.repeat(size))
          at += 1
        } catch {
          size = Math.floor(size / 2)
        }
      }
    })
    await page.context().route('**/v2/records', (route) => route.abort())
    await write(page, { n: 1 })
    await page.getByText('Signed, but stored only in the memory of this page').waitFor()
    await page.getByText('This browser has no room to store 1 change').waitFor()
    expect(await page.evaluate(() => dispatchEvent(new Event('beforeunload', { cancelable: true })))).toBe(false)
    // Another page writes to what it shares with this one.
    const other = await page.context().newPage()
    await other.goto(node.url)
    await page.evaluate(() => addEventListener('storage', ({ key }) => (document.title = `heard of ${key}`)))
    await other.evaluate(() => {
      localStorage.removeItem('filler-0')
      localStorage.setItem('avatar-kv.outbox.0x1', '{}')
    })
    await page.waitForFunction(() => document.title === 'heard of avatar-kv.outbox.0x1')
    await page.getByText('1 signed change not sent yet').waitFor()
    await page.context().unroute('**/v2/records')
    await page.getByText('Your change arrived').waitFor()
    expect((await node.api.avatar(signer.avatar))?.namespaces[0]?.content).toEqual({ n: 1 })
  })

  it('a host that stops is told of, what was verified stays, and what comes after is seen', async () => {
    const signer = privateKeySigner(newKey())
    await createClient({ nodes: [node.url] }).put({ signer, patch: { n: 'before' } })
    const page = await browser.open(`${node.url}/#/avatar/${signer.avatar}`)
    await page.getByText('live', { exact: true }).waitFor()
    await node.stop()
    await page.getByText('Offline: this host cannot be reached').waitFor()
    expect(await page.getByRole('article', { name: 'Profile data' }).innerText()).toContain('before')
    await node.restart()
    await createClient({ nodes: [node.url] }).put({ signer, patch: { n: 'after' } })
    await page.getByRole('article', { name: 'Profile data' }).getByText('"after"').waitFor()
    await page.getByText('Offline: this host cannot be reached').waitFor({ state: 'detached' })
  })
})
