import { nodePlatform } from '../../src/archive/node.ts'
import { once } from 'node:events'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { checkArchive } from '../../src/archive/check.ts'
import type { ImportReport } from '../../src/ingest/import-archive.ts'
import { selectEngine } from '../../src/verify/select-engine.ts'
import { createVerifyService } from '../../src/verify/verify-service.ts'
import { startHttpNode } from '../http/node.ts'
import type { HttpNode } from '../http/node.ts'
import { Writer } from '../store/writer.ts'
import { archiveOf, chunksOf, joined, linesOf } from './archives.ts'
import { sleep, until } from '../support/until.ts'

const engine = await selectEngine()
const verifier = createVerifyService({ engine, logger: pino({ level: 'silent' }) }, { network: 'main', workers: 0 })
/** One place for each host, in all two. */
const ONE_OF_TWO = { total: 2, perKey: 1, reserve: 1, small: 1 }
const check = (bytes: Uint8Array) =>
  checkArchive(nodePlatform, { chunks: chunksOf(bytes), verifierFor: () => verifier })

let node: HttpNode
const [alice, bob] = [new Writer(1), new Writer(2)]
const records = [...alice.chain(300), ...bob.chain(5)]
beforeAll(async () => {
  node = await startHttpNode()
  await postArchive(node, await archiveOf(records))
})
afterAll(() => node.close())

async function postArchive(to: HttpNode, bytes: Uint8Array) {
  const { status, body } = await to.json('/v2/archives', { method: 'POST', body: Buffer.from(bytes) })
  return { status, body: body as ImportReport & { code?: string } }
}

async function getArchive(from: HttpNode, query: string) {
  const response = await from.fetch(`/v2/archives${query}`)
  return { response, bytes: Buffer.from(await response.arrayBuffer()) }
}

describe('GET /v2/archives', () => {
  it('sends an archive of one avatar, of several, of all, compressed', async () => {
    for (const [query, avatars, count] of [
      [`?avatar=${alice.avatar}`, [alice.avatar], 300],
      [`?avatar=${bob.avatar.toUpperCase().slice(2)}&avatar=${alice.avatar}`, [alice.avatar, bob.avatar].sort(), 305],
      ['', undefined, 305],
      ['?gzip=true&history=true', undefined, 305],
    ] as const) {
      const { response, bytes } = await getArchive(node, query)
      expect(response.status).toBe(200)
      const isGzip = query.includes('gzip')
      expect(response.headers.get('content-type')).toBe(isGzip ? 'application/gzip' : 'application/x-ndjson')
      const name = /^attachment; filename="([a-zA-Z0-9.-]+)"$/.exec(
        response.headers.get('content-disposition') ?? '',
      )?.[1]
      expect(name?.endsWith(isGzip ? '.avatar-kv.ndjson.gz' : '.avatar-kv.ndjson')).toBe(true)
      expect(response.headers.get('access-control-allow-origin')).toBe('*')
      expect(await check(bytes)).toMatchObject({ sound: true, complete: true, valid: count, compressed: isGzip })
      if (!isGzip) expect(JSON.parse(linesOf(bytes)[0]!).avatars).toEqual(avatars)
    }
  })

  it.each([
    ['an avatar that is not here', `?avatar=${new Writer(3).avatar}`, 404, 'unknown_avatar'],
    ['one of two', `?avatar=${alice.avatar}&avatar=${new Writer(3).avatar}`, 404, 'unknown_avatar'],
    ['no avatar', '?avatar=x', 400, 'invalid_avatar'],
    ['an empty one', '?avatar=', 400, 'invalid_request'],
    ['another word', `?avatar=${alice.avatar}&history=yes`, 400, 'invalid_request'],
    ['too many', `?${Array.from({ length: 101 }, () => 'avatar=a').join('&')}`, 400, 'invalid_request'],
  ])('does not send %s', async (_what, query, status, code) => {
    const answer = await node.json(`/v2/archives${query}`)
    expect([answer.status, answer.body.code]).toEqual([status, code])
  })

  it('has places for so many at once, and gives them back when a reader leaves', async () => {
    const small = await startHttpNode({ limits: { exports: ONE_OF_TWO }, trustedProxies: ['none'] })
    try {
      // More than the buffers of a connection take, so that an export that is not read goes on.
      const large = new Writer(7)
      let last = large.patch([], { text: 'x'.repeat(200_000) })
      const many = [last]
      for (let n = 0; n < 99; n++) many.push((last = large.patch([last], { text: 'y'.repeat(200_000) })))
      expect((await postArchive(small, await archiveOf(many))).body.stored).toBe(100)
      const socket = connect({ port: small.port, host: '127.0.0.1' })
      socket.write('GET /v2/archives HTTP/1.1\r\nhost: x\r\n\r\n')
      await once(socket, 'readable')
      const refused = await small.json('/v2/archives')
      expect([refused.status, refused.body.code, refused.headers.get('retry-after')]).toEqual([
        429,
        'too_many_archives',
        '30',
      ])
      socket.destroy()
      await until(async () => (await getArchive(small, '')).response.status === 200, 'the place is free again')
      // A node that stops breaks off what it sends.
      const other = connect({ port: small.port, host: '127.0.0.1' })
      other.on('error', () => {})
      other.write('GET /v2/archives HTTP/1.1\r\nhost: x\r\n\r\n')
      await once(other, 'readable')
      await small.stopServer()
      other.destroy()
    } finally {
      await small.close()
    }
  })
})

describe('POST /v2/archives', () => {
  it('takes what GET gives, compressed or not, once', async () => {
    const other = await startHttpNode()
    try {
      const { bytes } = await getArchive(node, `?avatar=${alice.avatar}`)
      expect((await postArchive(other, gzipSync(bytes))).body).toMatchObject({ stored: 300, duplicate: 0, sound: true })
      expect((await postArchive(other, bytes)).body).toMatchObject({ stored: 0, duplicate: 300, trailer: 'good' })
      const [here, there] = await Promise.all([node, other].map((each) => each.json(`/v2/avatars/${alice.avatar}`)))
      expect(there?.body.digest).toBe(here?.body.digest)
    } finally {
      await other.close()
    }
  })

  it('takes what is sound of a damaged one, and says what is not', async () => {
    const carol = new Writer(4)
    const lines = linesOf(await archiveOf(carol.chain(4)))
    const { status, body } = await postArchive(node, joined([...lines.slice(0, 3), 'what is this', lines[3]!]))
    expect([status, body.stored, body.sound, body.trailer]).toEqual([200, 3, false, 'missing'])
    expect(body.faults.first.map(({ line, code }) => [line, code])).toEqual([
      [4, 'bad_line'],
      [6, 'trailer_missing'],
    ])
  })

  it.each([
    ['nothing', Buffer.alloc(0), 'bad_request'],
    ['something else', Buffer.from('{"records":[]}'), 'not_an_archive'],
    ['half a gzip file', gzipSync('{"x":1}').subarray(0, 12), 'bad_gzip'],
    ['another version', Buffer.from('{"format":"avatar-kv-archive/3"}\n'), 'wrong_format'],
    [
      'another network',
      Buffer.from('{"created_at":1,"format":"avatar-kv-archive/2","network":"test"}\n'),
      'wrong_network',
    ],
    ['a bomb', gzipSync(Buffer.alloc(100_000_000)), 'not_an_archive'],
  ])('refuses %s', async (_what, bytes, code) => {
    const answer = await postArchive(node, bytes)
    expect([answer.status, answer.body.code]).toEqual([400, code])
  })

  it('reads little of what holds no records', async () => {
    const [header, one] = linesOf(await archiveOf(new Writer(5).chain(1)))
    const bomb = gzipSync(Buffer.concat([joined([header!, one!]), Buffer.alloc(100_000_000, '{"a":1}\n')]))
    const { status, body } = await postArchive(node, bomb)
    expect([status, body.stored, body.faults.stopped?.code]).toEqual([200, 1, 'too_much_noise'])
    expect(body.bytes).toBeLessThan(10_000_000)
  })

  it('may take longer than another request, but not for ever', async () => {
    const patient = await startHttpNode({
      limits: { headersTimeoutMs: 100, requestTimeoutMs: 300, archiveTimeoutMs: 10_000 },
    })
    try {
      const bytes = await archiveOf(new Writer(6).chain(3))
      const send = async (path: string, parts: number, pauseMs: number): Promise<string> => {
        const socket = connect({ port: patient.port, host: '127.0.0.1' })
        let answer = ''
        socket.setEncoding('utf8').on('data', (text: string) => void (answer += text))
        socket.on('error', () => {})
        const closed = once(socket, 'close')
        socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: ${bytes.length}\r\n\r\n`)
        for (let part = 0; part < parts && !socket.destroyed && answer === ''; part++) {
          const size = Math.ceil(bytes.length / parts)
          socket.write(bytes.subarray(part * size, (part + 1) * size))
          await sleep(pauseMs)
        }
        await closed
        return answer
      }
      const [long, endless, plain] = await Promise.all([
        send('/v2/archives', 6, 200),
        // One byte after the other, until it is cut off.
        send('/v2/archives', bytes.length, 100),
        send('/v2/records', 6, 200),
      ])
      expect(long).toMatch(/^HTTP\/1.1 200 .*"stored":3/s)
      expect(endless).toMatch(/^HTTP\/1.1 408 .*"code":"timeout"/s)
      expect(plain).toMatch(/^HTTP\/1.1 408 /)
    } finally {
      await patient.close()
    }
  })

  it('keeps what came before a connection broke, and its place is free again', async () => {
    const small = await startHttpNode({ limits: { imports: ONE_OF_TWO }, trustedProxies: ['none'] })
    try {
      const dora = new Writer(8)
      const bytes = await archiveOf(dora.chain(1_000))
      const socket = connect({ port: small.port, host: '127.0.0.1' })
      socket.on('error', () => {})
      socket.write(`POST /v2/archives HTTP/1.1\r\nhost: x\r\ncontent-length: ${bytes.length}\r\n\r\n`)
      socket.write(bytes.subarray(0, bytes.length * 0.7))
      await until(async () => ((await small.store.summary(dora.avatar))?.records ?? 0) >= 256, 'some are stored')
      expect((await postArchive(small, bytes)).status).toBe(429)
      socket.destroy()
      let answer = await postArchive(small, bytes)
      await until(async () => {
        if (answer.status === 429) answer = await postArchive(small, bytes)
        return answer.status !== 429
      }, 'its place is free again')
      expect(answer.body).toMatchObject({ records: 1_000, refused: 0, sound: true })
      expect(answer.body.duplicate).toBeGreaterThanOrEqual(256)
      expect(await small.store.summary(dora.avatar)).toMatchObject({ head: 1_000, pending: 0 })
    } finally {
      await small.close()
    }
  })
})
