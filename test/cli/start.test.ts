import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { startNodeProcess } from '../../src/cli/lib/node-process.ts'
import type { NodeProcess } from '../../src/cli/lib/node-process.ts'
import { run } from './run.ts'

const MAIN = resolve('dist/main.js')
const LOOPBACK = ['--http', '127.0.0.1:0', '--listen', '/ip4/127.0.0.1/tcp/0']

let cwd: string
let node: NodeProcess
beforeAll(async () => {
  cwd = mkdtempSync(join(tmpdir(), 'avatar-kv-start-'))
  node = await startNodeProcess(MAIN, ['--data-dir', 'data', ...LOOPBACK], cwd)
  await run(['key', 'create'], { cwd })
})
afterAll(async () => {
  await node.stop()
  rmSync(cwd, { recursive: true })
})

function call(args: readonly string[], { url }: { url: string } = node) {
  return run([...args, '--node', url], { cwd })
}

/** A start that ends by itself, or is stopped by SIGTERM once standard output holds `until`. */
function start(args: readonly string[], options: { until?: string; env?: Record<string, string> } = {}) {
  return new Promise<{ code: unknown; out: string; err: string }>((resolve) => {
    const child = execFile(
      process.execPath,
      [MAIN, 'start', ...args],
      { cwd, env: { ...process.env, ...options.env } },
      (error, out, err) => resolve({ code: error?.code ?? 0, out, err }),
    )
    let said = ''
    child.stdout?.on('data', (text: string) => {
      const isThere = options.until === undefined || said.includes(options.until)
      said += text
      if (!isThere && said.includes(options.until ?? '')) child.kill('SIGTERM')
    })
  })
}

describe('start', () => {
  it('says what an operator needs', () => {
    expect(node).toMatchObject({ network: 'main', data_dir: join(cwd, 'data'), avatars: 0, records: 0 })
    expect(node.http).toMatch(/^127\.0\.0\.1:\d+$/)
    expect(node.http_addresses).toEqual([node.http])
    expect(node.addresses[0]).toMatch(/^\/ip4\/127\.0\.0\.1\/tcp\/\d+\/p2p\/12D3Koo/)
    expect(node.engine).toBe('libsecp256k1')
    expect(node.url).toBe(`http://${node.http}`)
  })

  it('says to a person what to open and what to run next, until there is something', async () => {
    const args = ['--data-dir', 'greeted', ...LOOPBACK, '--log-format', 'pretty']
    const first = await start(args, { until: "put '" })
    expect(first.out).toMatch(/Open http:\/\/127\.0\.0\.1:\d+\/ in a browser/)
    expect(first.out).toMatch(/npx avatar-kv key create\n +npx avatar-kv put '{"greeting":"hello"}' --node http:/)
    expect(first).toMatchObject({ code: 0, err: '' })
    const json = await start(args.slice(0, -2), { until: '"started"' })
    expect(json.out).not.toContain('browser')
  })

  it('starts beside a Kubernetes Service named avatar-kv, and warns once', async () => {
    const env = { AVATAR_KV_SERVICE_HOST: '10.0.0.46', AVATAR_KV_PORT: 'tcp://10.0.0.46:4381' }
    const { code, out } = await start(['--data-dir', 'service', ...LOOPBACK], { env, until: '"started"' })
    expect(code).toBe(0)
    const warnings = out.split('\n').filter((line) => line.includes('"warn"') && line.includes('AVATAR_KV_PORT'))
    expect(warnings).toHaveLength(1)
    expect(out.match(/AVATAR_KV_SERVICE_HOST/g)).toHaveLength(1)
  })

  it.each([
    ['a data directory in use', () => ['--data-dir', 'data', ...LOOPBACK], /another (node|process)/i],
    [
      'an HTTP port in use',
      () => ['--data-dir', 'd1', '--http', node.http, '--listen', LOOPBACK[3]!],
      /serve HTTP .* the port is already in use/,
    ],
    [
      'a peer port in use',
      () => ['--data-dir', 'd2', '--http', '127.0.0.1:0', '--listen', node.addresses[0]!.replace(/\/p2p.*/, '')],
      /listen for peers .* the port is already in use/,
    ],
    [
      'one listen address that is absent, among good ones',
      () => ['--data-dir', 'd3', ...LOOPBACK, '--listen', '/ip6/2001:db8::1/tcp/4382'],
      /listen for peers on \/ip6\/2001:db8::1\/tcp\/4382: this machine has no such address/,
    ],
    ['a data directory that is a file', () => ['--data-dir', 'avatar.key', ...LOOPBACK], /avatar\.key cannot be used/],
  ])('fails with exit code 1 on %s', async (_, args, message) => {
    const { code, out, err } = await start(args())
    expect(err).toMatch(message)
    expect(err).not.toContain('    at ')
    expect(code).toBe(1)
    // Once, and as a line of the log where the log has JSON lines.
    expect(out).not.toMatch(message)
    const { level, msg } = JSON.parse(err) as Record<string, string>
    expect([level, msg]).toEqual(['fatal', expect.stringMatching(message)])
    expect(err).toBe(`${err.trimEnd()}\n`)
    expect((await call(['status'])).code).toBe(0)
  })

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'stops cleanly on %s with exit code 0, and keeps what it had',
    async (signal) => {
      const args = ['--data-dir', `kept-${signal}`, ...LOOPBACK]
      const one = await startNodeProcess(MAIN, args, cwd)
      await call(['put', '{"kept":true}'], one)
      const stream = await fetch(`${one.url}/v2/events`)
      const exited = once(one.child, 'exit')
      one.child.kill(signal)
      // Each part has a bound for its stop, below 5 s together; the exit code says whether the data were saved within it.
      expect(await exited).toEqual([0, null])
      await stream.body?.cancel().catch(() => undefined)

      const again = await startNodeProcess(MAIN, args, cwd)
      expect(again).toMatchObject({ avatars: 1, records: 1, peer_id: one.peer_id })
      expect(await again.stop()).toBe(0)
    },
  )
})

describe('a second signal', () => {
  it('ends the node at once with exit code 1', async () => {
    const one = await startNodeProcess(MAIN, ['--data-dir', 'twice', ...LOOPBACK], cwd)
    // A request under way, which the first signal leaves a moment to finish.
    const [host, port] = one.http.split(':')
    const socket = connect(Number(port), host)
    socket.on('error', () => undefined)
    socket.write(
      'POST /v2/records HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{',
    )
    await once(socket, 'ready')
    expect((await call(['status'], one)).code).toBe(0)
    const exited = once(one.child, 'exit')
    const lines = createInterface({ input: one.child.stdout! })
    one.child.kill('SIGTERM')
    for await (const line of lines) if (line.includes('"stopping"')) break
    one.child.kill('SIGTERM')
    expect(await exited).toEqual([1, null])
  })
})

describe('demo', () => {
  it('shows a write that travels and is verified', async () => {
    const { code, stdout } = await new Promise<{ code: unknown; stdout: string }>((resolve) => {
      execFile(process.execPath, [MAIN, 'demo'], { cwd }, (error, stdout) =>
        resolve({ code: error?.code ?? 0, stdout }),
      )
    })
    expect(stdout).toContain('verified: 2 signatures checked here')
    expect(stdout).toContain('"colour":"green"')
    expect(code).toBe(0)
  })
})
