import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { build } from 'vite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** The tarballs of `npm run pack`, installed as people install them. */
const run = promisify(execFile)
const INSTALL_MS = 300_000
const CLIENT_ENTRIES = ['', '/wasm', '/links', '/replica', '/record', '/state', '/negentropy'].map(
  (entry) => `@avatar-kv/client${entry}`,
)
const NODE_ENTRIES = ['avatar-kv/client', 'avatar-kv/client/wasm', 'avatar-kv/replica', 'avatar-kv/negentropy']

let root: string
let tarballs: string[]
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'avatar-kv-package-'))
  tarballs = (await run(process.execPath, ['config/pack.js'])).stdout.trim().split('\n')
}, INSTALL_MS)
afterAll(async () => await rm(root, { recursive: true, force: true }))

/** Makes an empty project; gives back how a program runs in it. */
async function emptyProject(name: string) {
  const folder = join(root, name)
  await mkdir(join(folder, 'node_modules'), { recursive: true })
  await writeFile(join(folder, 'package.json'), '{"private":true,"type":"module"}')
  const inProject = async (program: string, ...args: readonly string[]): Promise<string> =>
    (await run(program, args, { cwd: folder, timeout: INSTALL_MS })).stdout
  return { folder, inProject }
}

async function install(cwd: string, tarball: string | undefined, ...options: string[]): Promise<void> {
  // npm then rejects packages that do not support this version of Node.js; CI tests the oldest that is supported.
  await writeFile(join(cwd, '.npmrc'), 'engine-strict=true\n')
  const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts']
  await run('npm', ['install', ...quiet, ...options, tarball ?? ''], { cwd, timeout: INSTALL_MS })
}

/** The names of all packages that npm installed. */
async function installed(cwd: string, ...options: string[]): Promise<Set<string | undefined>> {
  const { stdout } = await run('npm', ['ls', '--all', '--json', ...options], { cwd })
  const { dependencies } = JSON.parse(stdout) as { dependencies: unknown }
  return new Set([...JSON.stringify(dependencies).matchAll(/"([^"]+)":\{"version"/g)].map(([, name]) => name))
}

/** What the compiler says of a program that imports the entries, in each way that apps resolve modules. */
async function compile(folder: string, entries: readonly string[]): Promise<string> {
  await writeFile(join(folder, 'entry.ts'), entries.map((entry, at) => `export * as e${at} from '${entry}'`).join('\n'))
  const said: string[] = []
  for (const module of ['nodenext', 'node16', 'preserve']) {
    // Without types of Node.js, and with every declaration file checked.
    const options = {
      module,
      target: 'es2023',
      lib: ['es2023', 'dom', 'dom.iterable'],
      types: [],
      strict: true,
      noEmit: true,
    }
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: ['entry.ts'] }))
    const tsc = join(process.cwd(), 'node_modules/typescript/bin/tsc')
    const { stdout } = await run(process.execPath, [tsc], { cwd: folder }).catch((error: { stdout: string }) => error)
    said.push(stdout === '' ? module : `${module}: ${stdout}`)
  }
  return said.join()
}

/** A program that imports the entries and prints whether each exports something. */
const countExports = (entries: readonly string[], load: string): string =>
  `Promise.all(${JSON.stringify(entries)}.map(async (name) => ${load})).then((all) =>
    console.log(all.map((entry) => Object.keys(entry).length > 0).join()))`

const allTrue = (entries: readonly string[]): string => `${entries.map(() => 'true').join()}\n`

describe('avatar-kv, installed with npm install -g', () => {
  let prefix: string
  let node: ChildProcess
  let url: string
  beforeAll(async () => {
    prefix = join(root, 'global')
    await mkdir(prefix)
    await install(prefix, tarballs[0], '--global', '--prefix', prefix)
    const args = ['start', '--data-dir', 'data', '--http', '127.0.0.1:0', '--listen', '/ip4/127.0.0.1/tcp/0']
    node = spawn(join(prefix, 'bin/avatar-kv'), [...args, '--log-format', 'json'], {
      cwd: prefix,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    for await (const line of createInterface({ input: node.stdout! })) {
      const found = /"http":"([^"]+)"/.exec(line)
      if (found === null) continue
      url = `http://${found[1]}`
      break
    }
    node.stdout!.resume()
  }, INSTALL_MS)
  afterAll(() => void node.kill('SIGKILL'))

  it('brings nothing that the node has in its bundle, nor what only development needs', async () => {
    const names = await installed(prefix, '--global', '--prefix', prefix)
    for (const name of ['libp2p', 'fastify', 'p-retry', 'cookie', 'preact', 'vitest']) expect(names).not.toContain(name)
    expect(names).toContain('level')
    expect(names.size).toBeLessThan(100)
  })

  it('runs a node that shows the explorer', async () => {
    expect(await (await fetch(url)).text()).toMatch(/<script[^>]* src=/)
  })

  it('still has the modules of the client, with types', async () => {
    const { folder, inProject } = await emptyProject('of-the-node')
    await symlink(join(prefix, 'lib/node_modules/avatar-kv'), join(folder, 'node_modules/avatar-kv'))
    await writeFile(join(folder, 'entry.js'), countExports(NODE_ENTRIES, 'await import(name)'))
    expect(await inProject(process.execPath, 'entry.js')).toBe(allTrue(NODE_ENTRIES))
    expect(await compile(folder, NODE_ENTRIES)).toBe('nodenext,node16,preserve')
  })

  describe('and @avatar-kv/client, installed into an empty project', () => {
    let folder: string
    let inProject: (program: string, ...args: readonly string[]) => Promise<string>
    beforeAll(async () => {
      ;({ folder, inProject } = await emptyProject('app'))
      await install(folder, tarballs[1])
    }, INSTALL_MS)

    it('brings nothing of the node', async () => {
      const names = await installed(folder)
      for (const name of ['libp2p', 'fastify', 'pino', 'secp256k1', 'prom-client']) expect(names).not.toContain(name)
      expect([...names].filter((name) => name?.startsWith('@libp2p/'))).toEqual([])
      expect(names.size).toBeLessThan(25)
    })

    it('has all its entries with import and with require', async () => {
      await writeFile(join(folder, 'entry.js'), countExports(CLIENT_ENTRIES, 'await import(name)'))
      await writeFile(join(folder, 'entry.cjs'), countExports(CLIENT_ENTRIES, 'require(name)'))
      for (const name of ['entry.js', 'entry.cjs']) {
        const { stdout, stderr } = await run(process.execPath, [name], { cwd: folder })
        expect({ name, stdout, stderr }).toEqual({ name, stdout: allTrue(CLIENT_ENTRIES), stderr: '' })
      }
    })

    it('has types for every way to resolve them, without those of Node.js', async () => {
      expect(await compile(folder, CLIENT_ENTRIES)).toBe('nodenext,node16,preserve')
    })

    it('is bundled for a page without anything of Node.js', async () => {
      await writeFile(
        join(folder, 'page.js'),
        CLIENT_ENTRIES.map((entry, at) => `export * as e${at} from '${entry}'`).join('\n'),
      )
      await build({
        configFile: false,
        logLevel: 'error',
        root: folder,
        build: { lib: { entry: 'page.js', formats: ['es'], fileName: 'page' }, outDir: 'out' },
      })
      const code = await readFile(join(folder, 'out/page.js'), 'utf8')
      expect(code).toContain('indexedDB')
      expect(code).not.toMatch(/["'`]node:|\bBuffer\.|__vite-browser-external|classic-level/)
    })

    it('does what its README says', async () => {
      const readme = await readFile(join(folder, 'node_modules/@avatar-kv/client/README.md'), 'utf8')
      const programs = [...readme.matchAll(/```js\n([^]*?)\n\/\/ (.*)\n```/g)]
      expect(programs).toHaveLength(2)
      for (const [, program = '', printed] of programs) {
        await writeFile(join(folder, 'readme.js'), program.replace('http://127.0.0.1:4381', url))
        expect(await inProject(process.execPath, 'readme.js')).toBe(`${printed}\n`)
      }
      for (const [, page = ''] of readme.matchAll(/\]\((docs\/[^)#]+)/g)) {
        expect(await readFile(join(folder, 'node_modules/@avatar-kv/client', page), 'utf8')).not.toBe('')
      }
    })

    it('runs the replica, and the example that it brings', async () => {
      const program = `
        import { openReplica, privateKeySigner } from '@avatar-kv/client/replica'
        import { writeFileSync } from 'node:fs'
        const signer = privateKeySigner(crypto.getRandomValues(new Uint8Array(32)))
        const replica = await openReplica({ location: 'replica', nodes: ['${url}'], avatars: [signer.avatar] })
        await replica.put({ signer, patch: { name: 'Ada' } })
        while ((await replica.waiting(signer.avatar)).length > 0) await new Promise((done) => setTimeout(done, 50))
        await replica.close()
        writeFileSync('community.txt', signer.avatar)
        console.log(signer.avatar)
      `
      await writeFile(join(folder, 'use.js'), program)
      const avatar = (await inProject(process.execPath, 'use.js')).trim()
      await cp(join(folder, 'node_modules/@avatar-kv/client/docs/examples/mirror.js'), join(folder, 'mirror.js'))
      await inProject(
        process.execPath,
        'mirror.js',
        '--list',
        'community.txt',
        '--to',
        'mirror',
        '--node',
        url,
        '--once',
      )
      expect(await readFile(join(folder, 'mirror', `${avatar}.json`), 'utf8')).toContain('Ada')
    })
  })
})
