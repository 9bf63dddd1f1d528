import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Wallet } from 'ethers'
import { createServer, type ViteDevServer } from 'vite'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { PROFILE_KEY } from '../../src/client/profile.ts'
import { privateKeySigner } from '../../src/client/signers.ts'
import { unlink } from '../../src/links/index.ts'
import { newKey } from '../support/keys.ts'
import { createCluster, type Cluster, type NodeProcess } from '../support/cluster.ts'
import { openBrowser, type Pages } from './pages.ts'
import { injectWallet } from './wallet.ts'
import { WAIT } from '../support/until.ts'

const EXAMPLES = join(process.cwd(), 'docs/examples')

let cluster: Cluster
let nodes: NodeProcess[]
beforeAll(async () => {
  cluster = await createCluster()
  nodes = await cluster.line(2)
})
afterAll(async () => await cluster.close())

describe('docs/examples/mirror.js', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'avatar-kv-mirror-'))
    await cp(join(EXAMPLES, 'mirror.js'), join(folder, 'mirror.js'))
    await writeFile(join(folder, 'package.json'), '{"type":"module"}')
    // The package as it is installed: its manifest, and the modules of the build.
    const installed = join(folder, 'node_modules/@avatar-kv/client')
    await mkdir(installed, { recursive: true })
    await cp('config/client/package.json', join(installed, 'package.json'))
    await symlink(join(process.cwd(), 'dist'), join(installed, 'dist'))
  })
  afterAll(async () => await rm(folder, { recursive: true }))

  it('explains itself without arguments', async () => {
    const run = promisify(execFile)(process.execPath, [join(folder, 'mirror.js')])
    const failure = await run.then(
      () => undefined,
      (error: unknown) => error as { code: number; stderr: string },
    )
    expect(failure?.code).toBe(2)
    expect(failure?.stderr).toContain('node mirror.js --list community.txt')
    expect(failure?.stderr).not.toContain('    at ')
  })

  it('writes what a community has signed, follows it, and ends cleanly', async () => {
    const client = createClient({ nodes: [nodes[0]!.url] })
    const [ada, bob] = [privateKeySigner(newKey()), privateKeySigner(newKey())]
    await client.put({ signer: ada, patch: { name: 'Ada' } })
    await client.put({ signer: bob, patch: { name: 'Bob' } })
    const list = join(folder, 'community.txt')
    await writeFile(list, `# members\n${ada.avatar}\n\n${bob.avatar.toUpperCase().replace('0X', '')} # Bob\n`)
    const args = [join(folder, 'mirror.js'), '--list', list, '--to', join(folder, 'out')]
    for (const { url } of nodes) args.push('--node', url)
    const nameIn = async (avatar: string): Promise<unknown> => {
      const kept = JSON.parse(await readFile(join(folder, 'out', `${avatar}.json`), 'utf8')) as {
        namespaces: { content: { name: string } }[]
      }
      return kept.namespaces[0]?.content.name
    }

    await promisify(execFile)(process.execPath, [...args, '--once'])
    expect([await nameIn(ada.avatar), await nameIn(bob.avatar)]).toEqual(['Ada', 'Bob'])

    // A host that has nothing of it takes nothing away.
    const stranger = await cluster.start('stranger')
    const poor = args.slice(0, -4).concat('--node', stranger.url, '--once')
    await promisify(execFile)(process.execPath, poor)
    expect([await nameIn(ada.avatar), await nameIn(bob.avatar)]).toEqual(['Ada', 'Bob'])

    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      await once(child.stdout, 'data')
      await client.put({ signer: ada, patch: { name: 'Ada King' } })
      await vi.waitFor(async () => expect(await nameIn(ada.avatar)).toBe('Ada King'), WAIT)
    } finally {
      child.kill('SIGTERM')
    }
    expect(await once(child, 'exit')).toEqual([0, null])
  })
})

describe('docs/examples/to-do', () => {
  let server: ViteDevServer
  let browser: Pages
  let url: string
  beforeAll(async () => {
    server = await createServer({
      root: join(EXAMPLES, 'to-do'),
      configFile: false,
      logLevel: 'silent',
      cacheDir: join(process.cwd(), '.cache/vite-to-do'),
      resolve: {
        alias: [
          { find: /^@avatar-kv\/client$/, replacement: join(process.cwd(), 'dist/client/index.js') },
          { find: /^@avatar-kv\/client\/links$/, replacement: join(process.cwd(), 'dist/links/browser.js') },
        ],
      },
      server: { host: '127.0.0.1', port: 0, hmr: false, fs: { allow: [process.cwd()] } },
    })
    await server.listen()
    url = server.resolvedUrls?.local[0] ?? ''
    browser = await openBrowser()
  })
  afterAll(async () => {
    await browser.close()
    await server.close()
  })

  it('asks the wallet once, for 1,000 writes and over a second visit, until the owner takes the link back', async () => {
    const wallet = Wallet.createRandom()
    const signer = privateKeySigner(wallet.privateKey)
    const client = createClient({ nodes: [nodes[0]!.url] })
    await client.put({
      signer,
      patch: { name: 'Ada', 'com.example.todo': { old: { text: 'from before', done: false } } },
    })
    let prompts = 0
    const sign = wallet.signMessage.bind(wallet)
    wallet.signMessage = async (message) => {
      prompts++
      return await sign(message)
    }
    const query = new URLSearchParams(nodes.map((node): [string, string] => ['node', node.url]))
    const page = await browser.open(`${url}?${query}`, {}, injectWallet(wallet))
    await page.getByLabel('Your avatar').fill(signer.avatar)
    await page.getByRole('button', { name: 'Connect my wallet' }).click()
    await page.getByText('1 to do, 1 in all.').waitFor()
    expect(prompts).toBe(1)

    await page.getByLabel('New, one a line').fill('milk')
    await page.getByRole('button', { name: 'Add' }).click()
    await page.getByText('2 to do, 2 in all.').waitFor()
    await page.getByRole('checkbox', { name: 'milk' }).check()
    await page.getByText('1 to do, 2 in all.').waitFor()
    await page.getByRole('button', { name: 'Remove from before' }).click()
    await page.getByText('0 to do, 1 in all.').waitFor()
    await page.getByLabel('New, one a line').fill(Array.from({ length: 997 }, (_, n) => `item ${n}`).join('\n'))
    await page.getByRole('button', { name: 'Add' }).click()
    await page.getByText('997 to do, 998 in all.').waitFor()

    // The browser has the key of the app: nobody is asked on a later visit, and no wallet is needed.
    await page.reload()
    await page.getByText('997 to do, 998 in all.').waitFor()
    await page.getByRole('checkbox', { name: 'milk' }).uncheck()
    await page.getByText('998 to do, 998 in all.').waitFor()
    expect(prompts).toBe(1)

    const reader = createClient({ nodes: nodes.map((node) => node.url) })
    const shown = await reader.getVerified(signer.avatar)
    expect(shown.links).toMatchObject([{ key: 'com.example.todo', label: 'To-do example, in this browser' }])
    const content = shown.namespaces[0]?.content ?? {}
    expect(content['name']).toBe('Ada')
    expect(Object.keys(content['com.example.todo'] as object)).toHaveLength(998)

    await unlink(client, { signer, key: 'com.example.todo', keep: true })
    await vi.waitFor(async () => expect((await reader.getVerified(signer.avatar)).links).toEqual([]), WAIT)
    await page.reload()
    await page.getByText('is not linked').waitFor()
    await page.getByRole('button', { name: 'Connect my wallet' }).waitFor()
    expect(browser.complaints).toEqual([])
  })
})

describe('docs/examples/profile-page', () => {
  let server: ViteDevServer
  let browser: Pages
  let url: string
  beforeAll(async () => {
    server = await createServer({
      root: join(EXAMPLES, 'profile-page'),
      configFile: false,
      logLevel: 'silent',
      cacheDir: join(process.cwd(), '.cache/vite-examples'),
      resolve: { alias: { '@avatar-kv/client': join(process.cwd(), 'dist/client/index.js') } },
      server: { host: '127.0.0.1', port: 0, hmr: false, fs: { allow: [process.cwd()] } },
    })
    await server.listen()
    url = server.resolvedUrls?.local[0] ?? ''
    browser = await openBrowser()
  })
  afterAll(async () => {
    await browser.close()
    await server.close()
  })

  it('shows a profile verified, is changed with a wallet, and follows changes from elsewhere', async () => {
    const wallet = Wallet.createRandom()
    const query = new URLSearchParams(nodes.map((node): [string, string] => ['node', node.url]))
    const page = await browser.open(`${url}?${query}`, {}, injectWallet(wallet))
    await page.getByLabel('Name').fill('Ada <b>Lovelace</b>')
    await page.getByLabel('About').fill('Wrote the first program.')
    await page.getByRole('button', { name: 'Sign with my wallet' }).click()
    await page.getByText('Saved.').waitFor()
    await page.getByRole('heading', { name: 'Ada <b>Lovelace</b>' }).waitFor()
    await page.getByText('signatures checked in your browser').waitFor()

    const signer = privateKeySigner(wallet.privateKey)
    await createClient({ nodes: [nodes[1]!.url] }).change({
      signer,
      change: (before) => ({ ...before, [PROFILE_KEY]: { name: 'Ada King', bio: 'x' }, other: 1 }),
    })
    await page.getByRole('heading', { name: 'Ada King' }).waitFor()
    const other = await browser.open(`${url}?${query}&avatar=${signer.avatar}`)
    await other.getByRole('heading', { name: 'Ada King' }).waitFor()
    expect(browser.complaints).toEqual([])
  })
})
