import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const run = promisify(execFile)
const INSTALL_MS = 110_000

let project: string
/** Runs a program in a project that has nothing but the package. */
const inProject = async (program: string, ...args: readonly string[]): Promise<string> =>
  (await run(program, args, { cwd: project, timeout: INSTALL_MS })).stdout

describe('the package, installed into an empty project', () => {
  beforeAll(async () => {
    project = await mkdtemp(join(tmpdir(), 'avatar-kv-package-'))
    const tarball = (await run(process.execPath, ['config/pack.js'])).stdout.trim()
    await writeFile(join(project, 'package.json'), '{"private":true,"type":"module"}')
    // npm then refuses what says that it does not run on this Node.js; the oldest that is supported is tested in CI.
    await writeFile(join(project, '.npmrc'), 'engine-strict=true\n')
    await inProject('npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', tarball)
  }, INSTALL_MS)
  afterAll(async () => await rm(project, { recursive: true, force: true }))

  it('brings nothing that the node has in its bundle, nor what only development needs', async () => {
    const { dependencies } = JSON.parse(await inProject('npm', 'ls', '--all', '--json')) as { dependencies: unknown }
    const names = new Set([...JSON.stringify(dependencies).matchAll(/"([^"]+)":\{"version"/g)].map(([, name]) => name))
    for (const name of ['libp2p', 'fastify', 'p-retry', 'cookie', 'preact', 'vitest']) expect(names).not.toContain(name)
    expect(names).toContain('level')
    expect(names.size).toBeLessThan(100)
  })

  it('has all three entries of the library, with types', async () => {
    const code = ['client', 'replica', 'negentropy'].map((name) => `export * as ${name} from 'avatar-kv/${name}'`)
    await writeFile(join(project, 'entry.ts'), code.join('\n'))
    await writeFile(join(project, 'entry.js'), code.join('\n'))
    const count =
      "console.log(Object.values(await import('./entry.js')).map((entry) => Object.keys(entry).length > 2).join())"
    expect(await inProject(process.execPath, '--input-type=module', '-e', count)).toBe('true,true,true\n')
    const tsc = join(process.cwd(), 'node_modules/typescript/bin/tsc')
    for (const module of ['nodenext', 'node16', 'preserve']) {
      const lib = ['es2023', 'dom', 'dom.iterable']
      const compilerOptions = {
        module,
        target: 'es2023',
        lib,
        types: [],
        strict: true,
        noEmit: true,
        skipLibCheck: true,
      }
      await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['entry.ts'] }))
      const { stdout } = await run(process.execPath, [tsc], { cwd: project }).catch(
        (error: { stdout: string }) => error,
      )
      expect(`${module}: ${stdout}`).toBe(`${module}: `)
    }
  })

  it('runs a node, which writes, reads and shows the explorer', async () => {
    const code = `
      import { spawn } from 'node:child_process'
      import { createClient, privateKeySigner } from 'avatar-kv/client'
      const args = ['start', '--data-dir', 'data', '--http', '127.0.0.1:0', '--listen', '/ip4/127.0.0.1/tcp/0', '--log-format', 'json']
      const node = spawn('node_modules/.bin/avatar-kv', args, { stdio: ['ignore', 'pipe', 'inherit'] })
      let url = ''
      for await (const chunk of node.stdout) {
        const found = /"http":"([^"]+)"/.exec(chunk)
        if (found === null) continue
        url = 'http://' + found[1]
        break
      }
      const signer = privateKeySigner(crypto.getRandomValues(new Uint8Array(32)))
      const client = createClient({ nodes: [url] })
      await client.put({ signer, patch: { n: 1 } })
      const { state } = await client.getVerified(signer.avatar)
      const page = await (await fetch(url)).text()
      node.kill()
      console.log(state, /<script[^>]* src=/.test(page))
      process.exit()
    `
    await writeFile(join(project, 'use.js'), code)
    expect(await inProject(process.execPath, 'use.js')).toBe('verified true\n')
  })
})
