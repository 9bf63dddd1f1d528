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
