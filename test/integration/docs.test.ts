import { spawn, type ChildProcess } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { blocksOf, PAGES } from '../docs/blocks.ts'
import { freePort } from '../support/ports.ts'
import { sleep } from '../support/until.ts'

/**
 * What the pages tell people to type, run as it is there, page by page and block by block in one shell, with the node of
 * `npm start` at port 4381. Only addresses are replaced: ports (the default one too) by free ones, the version 1 service of
 * the example by a node.
 */
const MAIN = join(process.cwd(), 'dist/main.js')
/** Ports that the pages name. */
const PORTS = ['4381', '4382', '4391', '4392', '4401', '4402']
/** The service of the page is one that readers replace: a node that has the avatar, and version 1, stands for it. */
const VERSION_1 = ['https://kv.example.org', 'http://127.0.0.1:4391'] as const
const START_MS = 60_000

const shell = PAGES.map((page) => [page, blocksOf(page).filter(({ language }) => language === 'sh')] as const)

describe.each(shell.filter(([, blocks]) => blocks.some(({ notRun }) => notRun === undefined)))('%s', (_, blocks) => {
  const nodes: ChildProcess[] = []
  const ports = new Map<string, number>()
  let folder: string

  beforeAll(async () => {
    for (const port of PORTS) ports.set(port, await freePort())
    folder = await mkdtemp(join(tmpdir(), 'avatar-kv-docs-'))
    await mkdir(join(folder, 'bin'))
    const run = `exec '${process.execPath}' '${MAIN}' "$@"\n`
    await writeFile(join(folder, 'bin/avatar-kv'), `#!/bin/sh\n${run}`)
    await writeFile(join(folder, 'bin/npx'), `#!/bin/sh\n[ "$1" = avatar-kv ] || exit 127\nshift\n${run}`)
    const npm = `#!/bin/sh\n[ "$*" = 'run demo' ] || exit 127\ncd '${process.cwd()}' && PATH='${process.env['PATH']}' exec npm "$@"\n`
    await writeFile(join(folder, 'bin/npm'), npm)
    for (const name of ['avatar-kv', 'npm', 'npx']) await chmod(join(folder, 'bin', name), 0o755)
    await writeFile(join(folder, 'variables'), '')
    await startNode('npx avatar-kv start --http 127.0.0.1:4381 --listen /ip4/127.0.0.1/tcp/4382', '4381')
  }, START_MS)
  afterAll(async () => {
    for (const node of nodes) node.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  })

  function begin(text: string): ChildProcess {
    let script = text.replaceAll(...VERSION_1)
    for (const [port, free] of ports) script = script.replaceAll(new RegExp(`\\b${port}\\b`, 'g'), String(free))
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('AVATAR_KV_')))
    return spawn('/bin/bash', ['-c', script], {
      cwd: folder,
      env: {
        ...env,
        AVATAR_KV_NODE: `http://127.0.0.1:${ports.get('4381')}`,
        PATH: `${join(folder, 'bin')}:${process.env['PATH']}`,
        HOME: folder,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  }

  /** Runs a block to its end; its variables are there for the next one. */
  async function runBlock(text: string): Promise<{ code: number | null; printed: string }> {
    const child = begin(`source ./variables\nset -aeo pipefail\n${text}\nset +a\nexport -p > ./variables`)
    let printed = ''
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (printed += String(chunk)))
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
    return { code, printed }
  }

  async function startNode(text: string, port: string): Promise<void> {
    const child = begin(`exec ${text}`)
    nodes.push(child)
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (said += String(chunk)))
    for (const giveUp = Date.now() + START_MS; ; await sleep(50)) {
      const url = `http://127.0.0.1:${ports.get(port)}/healthz`
      if ((await fetch(url).catch(() => undefined))?.ok === true) return
      if (child.exitCode !== null || Date.now() > giveUp) throw new Error(`The node did not start:\n${said}`)
    }
  }

  it.each(blocks.filter(({ notRun }) => notRun === undefined).map((block) => [block.place, block] as const))(
    '%s',
    async (_place, { text, output }) => {
      const [, port] = /^npx avatar-kv start [^]*--http 127\.0\.0\.1:(\d+)/.exec(text) ?? []
      if (port !== undefined) return await startNode(text, port)
      const { code, printed } = await runBlock(text)
      expect({ code, printed: code === 0 ? '' : printed }).toEqual({ code: 0, printed: '' })
      for (const line of output?.split('\n') ?? []) expect(printed).toMatch(patternOf(line))
    },
  )
})

/** What the page shows of a line, `…` standing for any text. */
function patternOf(line: string): RegExp {
  const parts = line.split('…').map((part) => part.trim().replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`))
  return new RegExp(parts.join('.*').replaceAll(/ +/g, ' +'))
}
