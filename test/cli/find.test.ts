import { createServer } from 'node:http'
import type { RequestListener, Server } from 'node:http'
import type { AddressInfo } from 'node:net'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { guardedFetch } from '../../src/cli/lib/guarded-fetch.ts'
import { startHttpNode, type HttpNode } from '../http/node.ts'
import { newKey, postRecords, signedPatch } from '../http/writer.ts'
import { run } from './run.ts'

const servers: Server[] = []

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  servers.push(server)
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** `home` has the avatar; `asked` knows only that it lists `home` as its home. */
let home: HttpNode
let asked: HttpNode
const key = newKey()
const written = signedPatch(key, { platform: 'nextid', identity: key.avatar, patch: { colour: 'green' } })
beforeAll(async () => {
  home = await startHttpNode()
  asked = await startHttpNode({ homes: [home.url('')] })
  await postRecords(home, [written])
})
afterAll(async () => {
  for (const server of servers) server.close()
  await Promise.all([home, asked].map((node) => node.close()))
})

const at = (node: HttpNode) => ['--node', node.url('')]

describe('find', () => {
  it('confirms where the avatar is said to live by a receipt of that host', async () => {
    const { code, out } = await run(['find', key.avatar, ...at(asked), '--allow-private', '--json'], { cwd: '/' })
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({
      avatar: key.avatar,
      hosts: [],
      homes: [home.url('')],
      asked: [{ url: home.url(''), problem: null, receipt: { avatar: key.avatar, head: 1 } }],
    })
    const text = await run(['find', key.avatar, ...at(asked), '--allow-private'], { cwd: '/' })
    expect(text.out).toContain('Homes that it is said to list (not verified):')
    expect(text.out).toContain(`${home.url('')}: has it: head 1, signed by 12D3KooW`)
  })

  it('shows the host itself, with a signature that was checked', async () => {
    const { code, out } = await run(['find', key.avatar, ...at(home)], { cwd: '/' })
    expect(code).toBe(0)
    expect(out).toContain('Hosts that signed that they have it (signatures checked here):')
  })

  it('asks no private address on a stranger’s word, and says that it found nothing', async () => {
    let requests = 0
    const trap = await serve((_, response) => {
      requests += 1
      response.end('{}')
    })
    const node = await startHttpNode({ homes: [trap, 'http://localhost:1', 'http://[::1]:1', 'http://router.lan'] })
    try {
      const { code, err } = await run(['find', newKey().avatar, ...at(node)], { cwd: '/' })
      expect(code).toBe(1)
      expect(err).toContain('No host of')
      expect((await run(['get', newKey().avatar, ...at(node)], { cwd: '/' })).code).toBe(1)
      expect(requests).toBe(0)
    } finally {
      await node.close()
    }
  })

  it('rejects a node whose receipts are forged', async () => {
    const genuine = (await home.json(`/v2/avatars/${key.avatar}/hosts`)).body
    genuine.hosts[0].receipt.head = 7
    const liar = await serve((_, response) => response.end(JSON.stringify(genuine)))
    const { code, err } = await run(['find', key.avatar, '--node', liar], { cwd: '/' })
    expect(code).toBe(1)
    expect(err).toContain('its receipt is not signed by the peer that it names')
  })
})

describe('get of what the node does not have', () => {
  it('reads from the host that the node names, verified, and says so', async () => {
    const { code, out, err } = await run(['get', key.avatar, ...at(asked), '--allow-private'], { cwd: '/' })
    expect(code).toBe(0)
    expect(out).toContain('"colour": "green"')
    expect(out).toContain('verified: 1 record checked here')
    expect(err).toContain(`This was read from ${home.url('')} and verified here.`)
    const one = await run(['get', key.avatar, 'nextid', ...at(asked), '--allow-private', '--json'], { cwd: '/' })
    expect(JSON.parse(one.out)).toEqual({ colour: 'green' })
  })

  it('does not with --no-find, and not without leave at private addresses', async () => {
    for (const flag of ['--no-find', '--verify']) {
      const { code, err } = await run(['get', key.avatar, ...at(asked), flag], { cwd: '/' })
      expect(code).toBe(1)
      expect(err).toContain('has nothing of')
    }
  })

  it('shows nothing of a host whose answer its records do not bear out', async () => {
    const liar = await serve(async (request, response) => {
      const answer = await home.fetch(request.url ?? '/')
      const text = await answer.text()
      response.writeHead(answer.status).end(text.replace('{"colour":"green"}', '{"colour":"black"}'))
    })
    const node = await startHttpNode({ homes: [liar, home.url('')] })
    try {
      const { code, out, err } = await run(['get', key.avatar, ...at(node), '--allow-private'], { cwd: '/' })
      expect(err).toContain(`${liar}: `)
      expect(code).toBe(0)
      expect(out).toContain('"green"')
    } finally {
      await node.close()
    }
  })

  it('finds the way by a node that does not host the avatar', async () => {
    const node = await startHttpNode({ homes: [home.url('')] })
    try {
      await postRecords(node, [written])
      await node.hosting.block([key.avatar], { forget: true })
      const refused = await run(['get', key.avatar, ...at(node), '--no-find'], { cwd: '/' })
      expect(refused.err).toContain('blocked')
      expect((await node.json(`/v2/avatars/${key.avatar}/hosts`)).status).toBe(200)
    } finally {
      await node.close()
    }
  })
})

describe('migrate without the address of the old host', () => {
  it.each([[], ['--from', key.avatar]])('finds it and moves the avatar: %j', async (...from: string[]) => {
    const target = await startHttpNode({ homes: [home.url('')] })
    try {
      const args = ['migrate', key.avatar, ...from, '--to', target.url(''), '--allow-private', '--json']
      const { code, out, err } = await run(args, { cwd: '/', env: { AVATAR_KV_NODE: target.url('') } })
      expect(err).toContain(`Moving from ${home.url('')}`)
      expect(code).toBe(0)
      expect(JSON.parse(out)).toMatchObject({ outcome: 'equal', from: home.url('') })
      const wrong = await run([...args, '--watch'], { cwd: '/' })
      expect(wrong).toMatchObject({ code: 2 })
    } finally {
      await target.close()
    }
  })

  it('says where it looked if there is none', async () => {
    const args = ['migrate', newKey().avatar, '--to', asked.url('')]
    const { code, err } = await run(args, { cwd: '/', env: { AVATAR_KV_NODE: asked.url('') } })
    expect(code).toBe(1)
    expect(err).toContain('Name it with --from ADDRESS')
  })
})

describe('the fetch for addresses that a stranger named', () => {
  it('reads any status, and refuses private addresses and what is no GET', async () => {
    const url = await serve((_, response) => response.writeHead(404, { 'x-said': 'no' }).end('gone'))
    const answer = await guardedFetch(true)(url)
    expect([answer.status, answer.headers.get('x-said'), await answer.text()]).toEqual([404, 'no', 'gone'])
    await expect(guardedFetch(false)(url)).rejects.toThrow('not a public address')
    await expect(guardedFetch(true)(url, { method: 'POST' })).rejects.toThrow('only read from')
  })
})
