import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { nodeAt } from '../../src/cli/lib/node.ts'
import { createClient } from '../../src/client/client.ts'
import { readNodeInfo } from '../../src/client/node-about.ts'
import { run } from '../cli/run.ts'
import { startHttpNode, type HttpNode } from './node.ts'

const ABOUT = {
  name: 'Harbour',
  contact: 'ops@harbour.example',
  policy: 'We host members.\nAsk us first.',
  public_url: 'https://harbour.example',
  history: { kept: true, erased_kept: false },
  quotas: { avatar_bytes: 1000, avatar_records: null, total_bytes: 5_000_000, total_records: null },
}

let node: HttpNode
beforeAll(async () => {
  node = await startHttpNode({ about: ABOUT, hosting: { mode: 'listed', policy: 'invite' } })
})
afterAll(() => node.close())

describe('GET /v2/node', () => {
  it('tells who runs the node and what it stores for whom', async () => {
    const { status, body } = await node.json('/v2/node')
    expect(status).toBe(200)
    expect(body).toEqual({
      ...ABOUT,
      network: 'main',
      version: '1.2.3',
      peer_id: '12D3KooWThisNode',
      addresses: ['/dns4/node.example.org/tcp/1/p2p/x'],
      hosting: { mode: 'listed', policy: 'invite' },
      reviews_new_avatars: false,
      disk: { new_avatars_percent: 10, writes_percent: 5 },
      limits: { record_bytes: 262_144, request_records: 1_000, request_bytes: 16 * 1024 * 1024 },
    })
  })

  it('may be cached, for a minute and by its tag, and read by any page', async () => {
    const first = await node.fetch('/v2/node')
    await first.text()
    expect(first.headers.get('cache-control')).toBe('public, max-age=60')
    expect(first.headers.get('access-control-allow-origin')).toBe('*')
    const etag = first.headers.get('etag') ?? ''
    expect(etag).toMatch(/^"[0-9a-f]{32}"$/)
    const again = await node.fetch('/v2/node', { headers: { 'if-none-match': etag } })
    expect([again.status, await again.text(), again.headers.get('etag')]).toEqual([304, '', etag])
    const head = await node.fetch('/v2/node', { method: 'HEAD' })
    expect([head.status, await head.text(), head.headers.get('etag')]).toEqual([200, '', etag])
  })

  it('has another tag once the node says something else', async () => {
    const silent = await startHttpNode()
    const { body, headers } = await silent.json('/v2/node')
    expect(body).toMatchObject({ name: null, contact: null, policy: null, public_url: null })
    expect(headers.get('etag')).not.toBe((await node.fetch('/v2/node')).headers.get('etag'))
    await silent.close()
  })
})

describe('the client and the commands', () => {
  it('read what the node says', async () => {
    expect(await readNodeInfo(nodeAt(node.url('')).transport)).toMatchObject(ABOUT)
    const { code, out } = await run(['status', '--node', node.url('')], { cwd: '/' })
    expect(code).toBe(0)
    expect(out).toMatch(/^name +Harbour$/m)
    expect(out).toMatch(/^contact +ops@harbour\.example$/m)
    expect(out).toMatch(/^hosts +only avatars on its list; owners with a code get on the list$/m)
    expect(out).toMatch(/^quota +1000 bytes \(1\.0 kB\) an avatar; 5000000 bytes \(5\.0 MB\) in all$/m)
    expect(out).toMatch(/^disk +has room \(42\.5 % free\)$/m)
    expect(out).toMatch(/^policy +We host members\.\n +Ask us first\.$/m)
    const json = JSON.parse((await run(['status', '--json', '--node', node.url('')], { cwd: '/' })).out)
    expect(json).toMatchObject({ version: '1.2.3', node: ABOUT })
  })

  it('cut long texts of a hostile node, and show no control character', async () => {
    const { body: sound } = await node.json('/v2/node')
    const { body: status } = await node.json('/v2/status')
    const evil = '\u001b[2Jsafe\u202e\u0007'
    const hostile = {
      ...sound,
      name: evil + 'n'.repeat(1_000),
      contact: evil,
      policy: `${evil}\nname  Forged${'p'.repeat(9_000)}`,
    }
    const server = createServer((request, response) => {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(request.url === '/v2/node' ? hostile : status))
    })
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const info = await readNodeInfo(nodeAt(url).transport)
    expect([info?.name?.length, info?.policy?.length]).toEqual([64, 4_000])
    const { out } = await run(['status', '--node', url], { cwd: '/' })
    server.close()
    // oxlint-disable-next-line no-control-regex
    expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/)
    expect(out).toContain('\\u001b[2Jsafe\\u202e\\u0007')
    expect(out).not.toMatch(/^name +Forged/m)
  })

  it('of an app too', async () => {
    const client = createClient({ nodes: ['http://127.0.0.1:1', node.url('/')], timeoutMs: 5_000 })
    expect(await client.nodeInfo()).toMatchObject(ABOUT)
  })

  it('go on with a node of a version that does not tell', async () => {
    const { body: status } = await node.json('/v2/status')
    const server = createServer((request, response) => {
      const isStatus = request.url === '/v2/status'
      response.writeHead(isStatus ? 200 : 404, { 'content-type': 'application/json' })
      response.end(JSON.stringify(isStatus ? status : { code: 'not_found', message: 'No such address.' }))
    })
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const { code, out } = await run(['status', '--node', url], { cwd: '/' })
    server.close()
    expect([code, out]).toEqual([0, expect.stringMatching(/^operator +this version of the node does not tell$/m)])
  })
})
