import { createServer, type Socket } from 'node:net'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DEFAULT_LIMITS } from '../../src/http/lib/limits.ts'
import { createCluster, type Cluster, type NodeProcess } from '../support/cluster.ts'
import { writeBody } from '../support/api.ts'
import { freePort } from '../support/ports.ts'
import { until } from '../support/until.ts'
import { createWriter } from '../support/writer.ts'
import { call, open } from './call.ts'
import { PROXIES, type Proxy } from './proxies.ts'

/** Real proxies with the files of docs/deploy, in front of a real node. */
let cluster: Cluster
let node: NodeProcess
beforeAll(async () => {
  cluster = await createCluster()
  // Not all of loopback: the clients of the test have addresses there.
  node = await cluster.start('node', { flags: ['--http-trusted-proxies', '127.0.0.1'] })
})
afterAll(async () => await cluster.close())

const streamsOf = async () => await node.api.metric('avatar_kv_event_streams')

describe.each(PROXIES)('$name', ({ start }) => {
  let proxy: Proxy
  beforeAll(async () => {
    proxy = await start(new URL(node.url).host)
  })
  afterAll(async () => await proxy.close())

  it('passes on each event at once, and the node learns that the reader has gone', async () => {
    const writer = createWriter(`events of ${proxy.url}`)
    const stream = await open(`${proxy.url}/v2/events?avatar=${writer.avatar}`, { from: '127.0.0.2' })
    expect(stream.statusCode).toBe(200)
    let received = ''
    stream.setEncoding('utf8').on('data', (piece: string) => (received += piece))
    stream.on('error', () => {})
    for (const value of ['first', 'second']) {
      const record = writer.write({ value })
      const answer = await call(`${proxy.url}/v2/records`, {
        from: '127.0.0.3',
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: writeBody([record]),
      })
      expect(answer).toMatchObject({ status: 200 })
      expect(answer.text).toContain('"stored"')
      // The stream says nothing more, so a proxy that waits for a full buffer would never pass it on.
      await until(() => received.includes(record.id), `the event of the ${value} record`)
    }
    expect(await streamsOf()).toBe(1)
    stream.destroy()
    await until(async () => (await streamsOf()) === 0, 'the node has closed the stream')
  })

  it('gives each client its own share, whatever a client forges', async () => {
    const streams: IncomingMessage[] = []
    const ask = async (from: string, at: number) => {
      const headers = {
        'x-forwarded-for': `198.51.100.${at}`,
        forwarded: `for=203.0.113.${at}`,
        'x-real-ip': `192.0.2.${at}`,
      }
      const stream = await open(`${proxy.url}/v2/events`, { from, headers })
      stream.on('error', () => {}).resume()
      streams.push(stream)
      return stream.statusCode
    }
    const { perKey } = DEFAULT_LIMITS.streams
    for (let at = 0; at < perKey; at++) expect(await ask('127.0.0.2', at)).toBe(200)
    expect(await ask('127.0.0.2', perKey)).toBe(429)
    expect(await ask('127.0.0.3', 0)).toBe(200)
    for (const stream of streams) stream.destroy()
    await until(async () => (await streamsOf()) === 0, 'the streams are closed')
  })

  it.each([
    '/metrics',
    '/metrics/',
    '/metrics?a=1',
    '/METRICS',
    '/%6detrics',
    '//metrics',
    '/./metrics',
    '/x/../metrics',
    '/v2/operator/invites',
    '/V2/Operator/invites',
    '/v2/%6fperator/invites',
    '/v2//operator/invites',
    '/v2/x/../operator/invites',
  ])('does not show %s', async (path) => {
    const answer = await call(proxy.url, { from: '127.0.0.2', path })
    expect(answer).toMatchObject({ status: 403, type: 'application/json' })
    expect(JSON.parse(answer.text)).toEqual({ code: 'not_public', message: expect.stringContaining('not public') })
  })

  it('stops, and so takes a new configuration, although a stream is open', async () => {
    const another = await start(new URL(node.url).host)
    const stream = await open(`${another.url}/v2/events`, { from: '127.0.0.2' })
    stream.on('error', () => {}).resume()
    expect(stream.statusCode).toBe(200)
    await another.close()
    await until(async () => (await streamsOf()) === 0, 'the node has closed the stream')
  })

  it('serves the explorer', async () => {
    const page = await call(`${proxy.url}/`, { from: '127.0.0.2' })
    expect(page).toMatchObject({ status: 200, type: expect.stringContaining('text/html') })
  })
})

describe.each(PROXIES)('$name, for nodes', ({ name, start }) => {
  it('carries what nodes tell each other on the one port, and names their addresses', async () => {
    const peers = `127.0.0.1:${await freePort()}`
    const listen = `/ip4/127.0.0.1/tcp/${peers.split(':')[1]}/ws`
    const hidden = await cluster.start(`${name}-hidden`, { flags: ['--listen', listen] })
    const proxy = await start(new URL(hidden.url).host, peers)
    try {
      const peerId = hidden.address.split('/').at(-1) ?? ''
      const env = proxy.certificate === undefined ? {} : { NODE_EXTRA_CA_CERTS: proxy.certificate }
      const address = `${proxy.peers}/p2p/${peerId}`
      const outside = await cluster.start(`${name}-outside`, {
        peers: [address],
        flags: ['--listen', '/ip4/127.0.0.1/tcp/0'],
        env,
      })
      const writer = createWriter(`nodes behind ${proxy.url}`)
      const written = [
        [hidden, writer.write({ at: 'hidden' })],
        [outside, writer.write({ at: 'outside' })],
      ] as const
      for (const [at, record] of written) await at.api.write([record])
      for (const each of [hidden, outside]) {
        await until(async () => (await each.api.status()).records === written.length, `${each.name} has all records`)
      }
      // The test's nodes are on this machine, whose addresses are never believed behind a proxy.
      const [peer] = await hidden.api.peers()
      expect(peer?.addresses).toEqual([expect.stringMatching(/^\/ip4\/0\.0\.0\.0\/tcp\/\d+\/ws\/p2p\/12D3/)])
    } finally {
      await proxy.close()
    }
  })
})

describe.each(PROXIES)('$name, with a connection that nobody uses', ({ start }) => {
  it('closes the connection before the node would', async () => {
    const ended: Promise<unknown>[] = []
    const server = createServer((socket: Socket) => {
      socket.on('error', () => {})
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'))
      ended.push(once(socket, 'end'))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const proxy = await start(`127.0.0.1:${(server.address() as AddressInfo).port}`)
    try {
      const began = performance.now()
      expect(await call(`${proxy.url}/`)).toMatchObject({ status: 200, text: 'ok' })
      expect(ended).toHaveLength(1)
      await ended[0]
      // A node that closes first can cut off a request that is on its way: the proxy answers 502.
      expect(performance.now() - began).toBeLessThan(DEFAULT_LIMITS.keepAliveTimeoutMs)
    } finally {
      await proxy.close()
      server.close()
    }
  })
})
