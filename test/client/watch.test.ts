import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { SURVEY_MS } from '../../src/client/limits.ts'
import { privateKeySigner } from '../../src/client/signers.ts'
import type { Client } from '../../src/client/api.ts'
import type { WatchEvent } from '../../src/client/watch.ts'
import { signRecord } from '../../src/record/sign.ts'
import { buildSnapshot } from '../../src/record/build.ts'
import { startHttpNode, type HttpNode } from '../http/node.ts'
import { until } from '../support/until.ts'
import { heapBytes } from './heap.ts'
import { newKey } from '../support/keys.ts'
import { startProxy, type Proxy } from './proxy.ts'

let node: HttpNode
let proxy: Proxy
beforeAll(async () => {
  node = await startHttpNode({ feedEntries: 10 })
  proxy = await startProxy(() => node.url(''))
})
afterAll(async () => {
  await proxy.close()
  await node.close()
})
beforeEach(() => proxy.tell(undefined))

/** Watches until it is stopped, and keeps all that it is told. */
function follow(client: Client, avatar: string, after?: string) {
  const stop = new AbortController()
  const events: WatchEvent[] = []
  const done = (async () => {
    const options = { signal: stop.signal, ...(after === undefined ? {} : { after }) }
    for await (const event of client.watch(avatar, options)) events.push(event)
  })()
  const numbers = (): unknown[] =>
    events.flatMap((event) =>
      event.type === 'change'
        ? event.records.map(({ body }) => (body.type === 'patch' ? body.patch['n'] : body.type))
        : [],
    )
  return {
    events,
    numbers,
    states: () => events.filter((event) => event.type === 'state'),
    untilTold: (count: number) => until(() => Promise.resolve(numbers().length >= count), `${count} changes`),
    async stop() {
      stop.abort()
      await done
    },
  }
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, at) => at + 1)

describe('watch', () => {
  it('keeps nothing of a frame, however many come', async () => {
    const CHUNKS = 20_000
    const heap: number[] = []
    let end = (): void => {}
    const ended = new Promise<void>((resolve) => (end = resolve))
    const server = createServer((request, response) => {
      if (request.url?.startsWith('/v2/events') !== true) {
        void fetch(node.url(request.url ?? '')).then(async (answer) => {
          response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text())
        })
        return
      }
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      void (async () => {
        for (let sent = 0; sent < CHUNKS; sent += 1) {
          if (sent === CHUNKS / 4) heap.push(heapBytes())
          response.write(`id: ${sent}\n\n`)
          // Each in a piece of its own, as frames come.
          await setImmediate()
        }
        heap.push(heapBytes())
        end()
      })()
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const signer = privateKeySigner(newKey())
    await createClient({ nodes: [node.url('')] }).put({ signer, patch: { n: 1 } })
    const { port } = server.address() as AddressInfo
    const watched = follow(createClient({ nodes: [`http://127.0.0.1:${port}`] }), signer.avatar)
    await ended
    const [first, last] = heap as [number, number]
    await watched.stop()
    server.closeAllConnections()
    server.close()
    // A reaction left at a promise takes more than 100 bytes a frame.
    expect((last - first) / (CHUNKS * 0.75)).toBeLessThan(40)
  })

  it('tells every record once, though connections break all the time', async () => {
    const signer = privateKeySigner(newKey())
    const writer = createClient({ nodes: [node.url('')] })
    const watched = follow(createClient({ nodes: [proxy.url] }), signer.avatar)
    await until(() => Promise.resolve(watched.states().length > 0), 'the state is there')
    for (const n of upTo(12)) {
      if (n % 4 === 0) proxy.cut()
      await writer.put({ signer, patch: { n } })
    }
    await watched.untilTold(12)
    await watched.stop()
    expect(watched.numbers()).toEqual(upTo(12))
    expect(watched.states()).toHaveLength(1)
    const last = watched.events.findLast((event) => event.type === 'change')
    expect(last?.state).toMatchObject({ state: 'verified', records: 12, head: 12 })
    expect(watched.events.filter((event) => event.type === 'connection' && event.status === 'lost')).not.toEqual([])
  })

  it('goes on at another node, and tells nothing twice', async () => {
    const signer = privateKeySigner(newKey())
    const writer = createClient({ nodes: [node.url('')] })
    await writer.put({ signer, patch: { n: 0 } })
    const watched = follow(createClient({ nodes: [proxy.url, node.url('')] }), signer.avatar)
    await until(() => Promise.resolve(watched.states().length > 0), 'the state is there')
    await writer.put({ signer, patch: { n: 1 } })
    await watched.untilTold(1)
    proxy.tell(() => ({ status: 503, body: '{"code":"busy","message":"stopping"}' }))
    proxy.cut()
    await writer.put({ signer, patch: { n: 2 } })
    await watched.untilTold(2)
    await watched.stop()
    expect(watched.numbers()).toEqual([1, 2])
    const live = watched.events.filter((event) => event.type === 'connection' && event.status === 'live')
    expect(live.map((event) => 'node' in event && event.node)).toEqual([proxy.url, node.url('')])
  })

  it('begins after a cursor with what came since', async () => {
    const signer = privateKeySigner(newKey())
    const writer = createClient({ nodes: [node.url('')] })
    const first = follow(createClient({ nodes: [node.url('')] }), signer.avatar)
    await until(() => Promise.resolve(first.states().length > 0), 'the state is there')
    await writer.put({ signer, patch: { n: 1 } })
    await first.untilTold(1)
    await first.stop()
    const cursor = first.events.flatMap((event) => ('cursor' in event ? [event.cursor] : [])).at(-1) ?? undefined
    expect(cursor).toContain(`@${node.url('')}`)
    await writer.put({ signer, patch: { n: 2 } })
    await writer.put({ signer, patch: { n: 3 } })
    const second = follow(createClient({ nodes: [node.url('')] }), signer.avatar, cursor)
    await second.untilTold(2)
    await writer.put({ signer, patch: { n: 4 } })
    await second.untilTold(3)
    await second.stop()
    expect(second.numbers()).toEqual([2, 3, 4])
    expect(second.states()[0]?.state).toMatchObject({ head: 3 })
    await expect(follow(createClient({ nodes: [node.url('')] }), signer.avatar, 'x').stop()).rejects.toMatchObject({
      code: 'usage',
    })
  })

  it('tells of what its own client writes, and whose write a snapshot superseded unseen', async () => {
    const key = newKey()
    const signer = privateKeySigner(key)
    const client = createClient({ nodes: [node.url('')] })
    await client.put({ signer, patch: { n: 1 } })
    const { tips } = await client.getVerified(signer.avatar)
    const watched = follow(client, signer.avatar)
    await until(() => Promise.resolve(watched.states().length > 0), 'the state is there')
    const lost = await client.put({ signer, patch: { n: 2 } })
    await watched.untilTold(1)
    // A snapshot whose author has seen more patches than there are, but not the second.
    const time = { createdAt: Math.floor(Date.now() / 1000), avatar: signer.avatar, network: 'main' }
    const snapshot = buildSnapshot({
      ...time,
      prev: [...tips, { counter: 5, id: `0x${'ab'.repeat(32)}` }],
      uuid: '00000000-0000-4000-8000-000000000000',
      state: [],
      parts: [],
    })
    const { payload, signature } = signRecord(snapshot, key)
    const body = { payload: Buffer.from(payload).toString(), signature: `0x${Buffer.from(signature).toString('hex')}` }
    await node.json('/v2/records', { method: 'POST', body: JSON.stringify({ records: [body] }) })
    await watched.untilTold(2)
    await until(() => Promise.resolve(watched.events.some(({ type }) => type === 'superseded')), 'it is told')
    await watched.stop()
    expect(watched.numbers()).toEqual([2, 'snapshot'])
    expect(watched.events.filter(({ type }) => type === 'superseded')).toMatchObject([
      { id: lost.records[0]?.id, counter: 2 },
    ])
  })

  it('leaves a node that tells of records which it does not have', async () => {
    const signer = privateKeySigner(newKey())
    const writer = createClient({ nodes: [node.url('')] })
    await writer.put({ signer, patch: { n: 0 } })
    let told = 0
    proxy.tell(({ path }) =>
      path === '/v2/events'
        ? {
            headers: { 'content-type': 'text/event-stream' },
            stream: (response) => {
              const timer = setInterval(() => {
                told += 1
                const data = { avatar: signer.avatar, id: `0x${told.toString(16).padStart(64, '0')}`, counter: 9 }
                response.write(`id: c-${told}\nevent: record\ndata: ${JSON.stringify({ ...data, digest: '' })}\n\n`)
              }, 20)
              response.once('close', () => clearInterval(timer))
            },
          }
        : undefined,
    )
    const watched = follow(createClient({ nodes: [proxy.url, node.url('')] }), signer.avatar)
    await until(
      () =>
        Promise.resolve(
          watched.events.some(
            (event) => event.type === 'connection' && event.status === 'live' && event.node === node.url(''),
          ),
        ),
      'the other node is followed',
    )
    await writer.put({ signer, patch: { n: 1 } })
    await watched.untilTold(1)
    await watched.stop()
    expect(watched.numbers()).toEqual([1])
    expect(proxy.seen.length).toBeLessThan(60)
  })

  describe('beside a node that shows what another has', () => {
    /** Answers as the node does now, for ever; its streams are alive, and tell nothing. */
    async function freeze(avatar: string): Promise<void> {
      const base = `/v2/avatars/${avatar}`
      const first = await (await fetch(`${node.url('')}${base}/records?limit=1000`)).text()
      const { cursor } = JSON.parse(first) as { cursor: string }
      const next = `${node.url('')}${base}/records?cursor=${encodeURIComponent(cursor)}`
      const end = await (await fetch(next)).text()
      const receipt = await (await fetch(`${node.url('')}${base}/receipt`)).text()
      proxy.tell(({ path, url }) => {
        if (path === `${base}/receipt`) return { body: receipt }
        if (path === `${base}/records`) return { body: url.includes('cursor=') ? end : first }
        if (path !== '/v2/events') return undefined
        return {
          headers: { 'content-type': 'text/event-stream' },
          stream: (response) => {
            const timer = setInterval(() => response.write(':\n\n'), 100)
            response.once('close', () => clearInterval(timer))
          },
        }
      })
    }
    const streams = (): number => proxy.seen.filter(({ path }) => path === '/v2/events').length

    it('follows the other, where it is known from the beginning', async () => {
      const signer = privateKeySigner(newKey())
      const writer = createClient({ nodes: [node.url('')] })
      await writer.put({ signer, patch: { n: 1 } })
      await freeze(signer.avatar)
      await writer.put({ signer, patch: { n: 2 } })
      const watched = follow(createClient({ nodes: [proxy.url, node.url('')] }), signer.avatar)
      await until(() => Promise.resolve(watched.states().length > 0), 'the state is there')
      await writer.put({ signer, patch: { n: 3 } })
      await watched.untilTold(1)
      await watched.stop()
      expect(watched.numbers()).toEqual([3])
      expect(watched.states()).toMatchObject([{ state: { head: 2 } }])
      expect(streams()).toBe(1)
    })

    it('finds out one that freezes later, by asking all of them now and then', async () => {
      const native = globalThis.setTimeout
      vi.spyOn(globalThis, 'setTimeout').mockImplementation(((run: () => void, ms?: number, ...rest: unknown[]) =>
        native(run, ms === SURVEY_MS ? 200 : ms, ...rest)) as typeof setTimeout)
      onTestFinished(() => void vi.restoreAllMocks())
      const signer = privateKeySigner(newKey())
      const writer = createClient({ nodes: [node.url('')] })
      await writer.put({ signer, patch: { n: 1 } })
      await freeze(signer.avatar)
      const watched = follow(createClient({ nodes: [proxy.url, node.url('')] }), signer.avatar)
      await until(() => Promise.resolve(watched.states().length > 0), 'the state is there')
      await writer.put({ signer, patch: { n: 2 } })
      await watched.untilTold(1)
      await writer.put({ signer, patch: { n: 3 } })
      await watched.untilTold(2)
      await watched.stop()
      expect(watched.numbers()).toEqual([2, 3])
      expect(watched.states()).toHaveLength(1)
      expect(streams()).toBe(1)
    })
  })

  it('tells of what its own client writes while the first read is saved', async () => {
    const signer = privateKeySigner(newKey())
    const saves: (() => void)[] = []
    let holds = false
    const save = (): Promise<void> =>
      holds && saves.length === 0 ? new Promise((resolve) => saves.push(resolve)) : Promise.resolve()
    const cache = { load: () => Promise.resolve(undefined), save }
    const client = createClient({ nodes: [node.url('')], cache })
    await client.put({ signer, patch: { n: 1 } })
    holds = true
    const watched = follow(client, signer.avatar)
    await until(() => Promise.resolve(saves.length > 0), 'it is saved')
    await client.put({ signer, patch: { n: 2 } })
    saves[0]?.()
    await until(() => Promise.resolve(watched.states().length > 0), 'the state is there')
    await client.put({ signer, patch: { n: 3 } })
    await watched.untilTold(1)
    await watched.stop()
    expect(watched.states()).toMatchObject([{ state: { head: 2, records: 2 } }])
    expect(watched.numbers()).toEqual([3])
  })

  it('waits for a stream to begin as long as for any answer', async () => {
    const signer = privateKeySigner(newKey())
    proxy.tell(({ path }) => (path === '/v2/events' ? new Promise(() => {}) : undefined))
    const watched = follow(createClient({ nodes: [proxy.url, node.url('')], timeoutMs: 4_000 }), signer.avatar)
    await until(() => Promise.resolve(watched.states().length > 0), 'the state is there')
    await watched.stop()
    expect(watched.events[0]).toMatchObject({ type: 'connection', status: 'lost', node: proxy.url })
    expect(watched.events[1]).toMatchObject({ type: 'connection', status: 'live', node: node.url('') })
  })

  it('ends at once, and leaves no stream open', async () => {
    const signer = privateKeySigner(newKey())
    const client = createClient({ nodes: [node.url('')] })
    const status = async (): Promise<number> => (await node.json('/v2/status')).body.subscribers
    await until(async () => (await status()) === 0, 'those of before are gone')
    const watched = upTo(5).map(() => follow(client, signer.avatar))
    await until(async () => (await status()) === 5, 'five streams')
    await Promise.all(watched.map((each) => each.stop()))
    for await (const event of client.watch(signer.avatar)) if (event.type === 'state') break
    await until(async () => (await status()) === 0, 'no stream')
    const own = new AbortController()
    const short = createClient({ nodes: [node.url('')], signal: own.signal })
    for await (const event of short.watch(signer.avatar)) if (event.type === 'state') own.abort()
    await until(async () => (await status()) === 0, 'no stream')
  })
})
