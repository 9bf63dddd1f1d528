import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { get } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, it } from 'vitest'

import { until } from '../support/until.ts'
import { personalSign, newKey, postRecords, signedPatch } from './writer.ts'
import { post, startHttpNode } from './node.ts'
import type { HttpNode } from './node.ts'

const MIB = 1024 * 1024
const TEXT = 'x'.repeat(250_000)

let node: HttpNode
const sockets = new Set<Socket>()
afterEach(async () => {
  for (const socket of sockets) socket.destroy()
  sockets.clear()
  await node.close()
})

/** An avatar of `members` members of 250,000 characters. */
async function largeAvatar(members: number, key = newKey(), identity = 'yeiwb') {
  for (let n = 0; n < members; n += 40) {
    const count = Math.min(40, members - n)
    const records = Array.from({ length: count }, (_, at) =>
      signedPatch(key, { identity, patch: { [`m${n + at}`]: `${n + at}${TEXT}` } }),
    )
    await postRecords(node, records)
  }
  return key
}

const shareOf = (total: number, perKey: number) => ({ total: total * MIB, perKey: perKey * MIB, reserve: 0, small: 0 })

/** A client that sends requests and never reads. */
function deafClient(paths: readonly string[]): Socket {
  const socket = connect(node.port, '127.0.0.1').pause()
  socket.on('error', () => {})
  sockets.add(socket)
  for (const path of paths) socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`)
  return socket
}

/** The body of an answer, asked for from another address of this machine. */
async function getFrom(localAddress: string, path: string): Promise<string> {
  const request = get({ host: '127.0.0.1', port: node.port, path, localAddress, agent: false })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  return await text(response)
}

async function metric(name: string): Promise<number> {
  const shown = await (await node.fetch('/metrics')).text()
  return shown
    .split('\n')
    .filter((line) => line.startsWith(`avatar_kv_${name}`))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

const contentOf = (members: number) =>
  Object.fromEntries(Array.from({ length: members }, (_, n) => [`m${n}`, `${n}${TEXT}`]))

describe('an answer of several MiB', () => {
  it('is the same by every route, with entity tags, HEAD and 304', async () => {
    node = await startHttpNode()
    const key = await largeAvatar(12)
    const path = `/v2/avatars/${key.avatar}`
    const content = contentOf(12)

    const whole = await node.fetch(path)
    expect(whole.headers.get('content-length')).toBeNull()
    const body = JSON.parse(await whole.text())
    expect(body.namespaces).toEqual([{ platform: 'twitter', identity: 'yeiwb', content }])
    expect(whole.headers.get('etag')).toBe(`"${body.digest}"`)
    expect(whole.headers.get('access-control-allow-origin')).toBe('*')

    const alone = await node.fetch(`${path}/twitter/yeiwb`)
    const contentText = await alone.text()
    expect(JSON.parse(contentText)).toEqual(content)
    expect(alone.headers.get('etag')).toBe(`"${createHash('sha256').update(contentText).digest('hex').slice(0, 32)}"`)

    for (const [at, tag] of [
      [path, whole.headers.get('etag')],
      [`${path}/twitter/yeiwb`, alone.headers.get('etag')],
    ] as const) {
      const unchanged = await node.fetch(at, { headers: { 'if-none-match': tag ?? '' } })
      expect([unchanged.status, await unchanged.text(), unchanged.headers.get('etag')]).toEqual([304, '', tag])
      const head = await node.fetch(at, { method: 'HEAD' })
      expect([head.status, await head.text(), head.headers.get('etag')]).toEqual([200, '', tag])
    }

    const { body: v1 } = await node.json(`/v1/kv?avatar=${key.avatar}`)
    expect(v1).toEqual({
      persona: key.uncompressed,
      avatar: key.uncompressed,
      proofs: [{ platform: 'twitter', identity: 'yeiwb', content }],
    })
    const { body: claims } = await node.json('/v1/kv/by_identity?platform=twitter&identity=yeiwb')
    expect(claims).toEqual({ values: [{ avatar: key.uncompressed, content }] })
    // All of it is given back.
    await until(async () => (await metric('http_output_bytes')) === 0, 'the room is free again')
  })

  it('is also the answer of a version 1 write, and of its repetition', async () => {
    node = await startHttpNode()
    const key = await largeAvatar(8)
    const asked = { avatar: key.uncompressed, platform: 'twitter', identity: 'yeiwb', patch: { last: 1 } }
    const issued = await node.json('/v1/kv/payload', post(asked))
    const { uuid, created_at, sign_payload } = issued.body
    const write = post({ ...asked, uuid, created_at, signature: personalSign(sign_payload, key) })
    for (let times = 0; times < 2; times++) {
      const { status, body } = await node.json('/v1/kv', write)
      expect(status).toBe(201)
      expect(body.avatar).toBe(key.uncompressed)
      expect(body.proofs[0].content).toEqual({ ...contentOf(8), last: 1 })
    }
  })

  it('is of one moment, whatever is written while it is read', async () => {
    node = await startHttpNode()
    const key = await largeAvatar(40)
    const response = await node.fetch(`/v2/avatars/${key.avatar}`)
    const reader = response.body!.getReader()
    const chunks = [(await reader.read()).value!]
    await postRecords(node, [signedPatch(key, { patch: { m39: 'later', zzz: 'later' } })])
    for (let next = await reader.read(); !next.done; next = await reader.read()) chunks.push(next.value)
    const body = JSON.parse(Buffer.concat(chunks).toString())
    expect(body.namespaces[0].content).toEqual(contentOf(40))
    expect(response.headers.get('etag')).toBe(`"${body.digest}"`)
  })
})

describe('by_identity', () => {
  it('passes over avatars that are not hosted before it counts', async () => {
    node = await startHttpNode({ hosting: { mode: 'all' } })
    const keys = Array.from({ length: 104 }, () => newKey()).sort((a, b) => (a.avatar < b.avatar ? -1 : 1))
    await postRecords(
      node,
      keys.map((key) => signedPatch(key, { identity: 'many' })),
    )
    await node.hosting.block(
      keys.slice(0, 3).map(({ avatar }) => avatar),
      { forget: false },
    )
    const { body } = await node.json('/v1/kv/by_identity?platform=twitter&identity=many')
    expect(body.values.map(({ avatar }: { avatar: string }) => avatar)).toEqual(
      keys.slice(3, 103).map(({ uncompressed }) => uncompressed),
    )
  })
})

describe('readers that do not read', () => {
  it('hold no more than the share of their address', async () => {
    node = await startHttpNode({ limits: { output: shareOf(64, 16) }, trustedProxies: ['none'] })
    const key = await largeAvatar(40)
    const path = `/v2/avatars/${key.avatar}`
    for (let n = 0; n < 30; n++) deafClient([path])
    await until(async () => (await metric('http_output_bytes')) === 12 * MIB, 'all places of the address are taken')
    const other = await getFrom('127.0.0.2', path)
    expect(JSON.parse(other).namespaces[0].content).toEqual(contentOf(40))
    expect(await metric('http_answers_cut_total')).toBe(0)
    // Small answers need no place.
    expect((await node.fetch('/v2/avatars')).status).toBe(200)
  })

  it('lose their place to others once they stall', async () => {
    node = await startHttpNode({ limits: { output: shareOf(16, 16) }, trustedProxies: ['none'] })
    const key = await largeAvatar(40)
    const path = `/v2/avatars/${key.avatar}`
    for (let n = 0; n < 3; n++) deafClient([path])
    await until(async () => (await metric('http_output_bytes')) === 12 * MIB, 'all places are taken')
    const { body } = await node.json(path)
    expect(body.namespaces[0].content).toEqual(contentOf(40))
    expect(await metric('http_answers_cut_total{reason="made_room"}')).toBeGreaterThan(0)
  })

  it('are cut off after a time without progress', async () => {
    node = await startHttpNode({ limits: { drainTimeoutMs: 300 } })
    const key = await largeAvatar(40)
    const socket = deafClient([`/v2/avatars/${key.avatar}`])
    const closed = new Promise((resolve) => socket.once('close', resolve))
    await until(async () => (await metric('http_answers_cut_total{reason="stalled"}')) === 1, 'it is cut')
    expect(await metric('http_output_bytes')).toBe(0)
    socket.resume()
    await closed
  })

  it('cannot hold more by many requests on one connection', async () => {
    node = await startHttpNode({ limits: { output: shareOf(8, 2) }, trustedProxies: ['none'] })
    const key = await largeAvatar(0)
    await postRecords(node, [signedPatch(key, { patch: { text: 'x'.repeat(60_000) } })])
    const path = `/v2/avatars/${key.avatar}`
    await node.json(path)
    const socket = deafClient(Array.from({ length: 400 }, () => path))
    await until(async () => (await metric('http_answers_cut_total{reason="made_room"}')) > 0, 'it is cut')
    socket.resume()
    expect(await metric('http_output_bytes')).toBe(0)
    expect((await node.json(path)).status).toBe(200)
  })

  it('of a member that fits into no room are told where else its records are', async () => {
    node = await startHttpNode({ limits: { output: shareOf(16, 8) }, trustedProxies: ['none'] })
    const key = newKey()
    for (let n = 0; n < 36; n++) {
      await postRecords(node, [signedPatch(key, { patch: { one: { [`m${n}`]: TEXT } } })])
    }
    const { status, body } = await node.json(`/v2/avatars/${key.avatar}/twitter/yeiwb`)
    expect([status, body.code]).toEqual([413, 'answer_too_large'])
    expect(body.message).toMatch(/\/v2\/avatars\/\{avatar\}\/records.*\/v2\/archives/)
    expect((await node.json(`/v2/avatars/${key.avatar}/records`)).status).toBe(200)
  })
})
