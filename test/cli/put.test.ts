import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

import { nodeAt } from '../../src/cli/lib/node.ts'
import { putPatch } from '../../src/cli/lib/put-patch.ts'
import { buildSnapshot } from '../../src/record/build.ts'
import { avatarOf, parseSecretKey } from '../../src/record/keys.ts'
import { signRecord } from '../../src/record/sign.ts'
import type { Avatar, JsonObject, PatchBody } from '../../src/record/types.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { startHttpNode, post } from '../http/node.ts'
import type { HttpNode } from '../http/node.ts'
import { run } from './run.ts'

const FALSE_ID = `0x${'ab'.repeat(32)}`

let cwd: string
let node: HttpNode
let proxy: Server
let url: string
/** What the proxy does to an answer, or before it asks. */
let alter: (path: string, answer: JsonObject) => void
let before: (path: string) => Promise<void>
/** Payloads that were handed in. */
let handedIn: PatchBody[]
let avatar: Avatar
let secretKey: Uint8Array

beforeAll(async () => {
  node = await startHttpNode()
  proxy = createServer((request, response) => {
    void (async () => {
      const path = request.url ?? ''
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      const body = Buffer.concat(chunks).toString()
      await before(path)
      if (path === '/v2/records') {
        const { records } = JSON.parse(body) as { records: { payload: string }[] }
        handedIn.push(...records.map(({ payload }) => JSON.parse(payload) as PatchBody))
      }
      const said = await fetch(node.url(path.replace('&cursor=again', '')), request.method === 'POST' ? post(body) : {})
      const answer = (await said.json()) as JsonObject
      alter(path, answer)
      response.writeHead(said.status).end(JSON.stringify(answer))
    })().catch((error: unknown) => response.destroy(error as Error))
  })
  await once(proxy.listen(0, '127.0.0.1'), 'listening')
  url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
})
afterAll(async () => {
  proxy.close()
  await node.close()
})
beforeEach(async () => {
  alter = () => undefined
  before = () => Promise.resolve()
  handedIn = []
  cwd = await mkdtemp(join(tmpdir(), 'avatar-kv-put-'))
  avatar = (await run(['key', 'create'], { cwd })).out.trim() as Avatar
  secretKey = parseSecretKey((await readFile(join(cwd, 'avatar.key'), 'utf8')).trim())
  return () => rm(cwd, { recursive: true })
})

const put = (...args: string[]) => run(['put', ...args, '--node', url], { cwd })

describe('a node that lies', () => {
  it('cannot make put cite a record that it invented', async () => {
    expect(await put('{"a":1}')).toMatchObject({ code: 0 })
    const id = handedIn.length
    alter = (path, answer) => {
      if (path !== `/v2/avatars/${avatar}`) return
      Object.assign(answer, { head: 7, tips: [{ counter: 7, id: FALSE_ID }], tips_total: 1 })
    }
    for (const args of [['{"b":1}'], ['{"c":1}', '--platform', 'twitter', '--identity', 'a']]) {
      expect(await put(...args)).toMatchObject({ code: 0 })
    }
    expect(handedIn.slice(id).map(({ counter }) => counter)).toEqual([2, 3])
    expect(JSON.stringify(handedIn)).not.toContain(FALSE_ID)

    expect(await put('{"d":1}', '--unsigned', 'sign.json', '--avatar', avatar)).toMatchObject({ code: 0 })
    const file = await readFile(join(cwd, 'sign.json'), 'utf8')
    expect(file).not.toContain(FALSE_ID)
    expect(file).toContain('\\"counter\\":4')
  })

  it.each<[string, (answer: JsonObject) => void]>([
    ['a payload that it altered', (answer) => first(answer, 'payload', '{}')],
    ['a record under another id', (answer) => first(answer, 'id', FALSE_ID)],
    ['a digest of something else', (answer) => void (answer['digest'] = '0'.repeat(64))],
  ])('is found out by %s, and nothing is signed', async (_, change) => {
    expect(await put('{"a":1}')).toMatchObject({ code: 0 })
    alter = (path, answer) => {
      if (path.includes('/records?')) change(answer)
    }
    for (const args of [['{"b":1}'], ['{"b":1}', '--unsigned', 'sign.json', '--avatar', avatar]]) {
      const { code, out, err } = await put(...args)
      expect([code, out]).toEqual([1, ''])
      expect(err).toContain('Nothing was signed')
      expect(err).toContain('--node URL')
    }
    expect(handedIn).toHaveLength(1)
    await expect(readFile(join(cwd, 'sign.json'))).rejects.toThrow('ENOENT')
  })

  it('cannot fill the memory, or keep put waiting, with records that have no end', async () => {
    alter = (path, answer) => {
      if (path.includes('/records?')) answer['cursor'] = 'again'
    }
    expect(await put('{"a":1}')).toMatchObject({ code: 0 })
    const { code, err } = await put('{"b":1}')
    expect([code, err]).toEqual([1, expect.stringContaining('Nothing was signed')])
    expect(handedIn).toHaveLength(1)
  })
})

it('signs a patch again that a snapshot superseded on its way', async () => {
  const { clock } = systemEnvironment()
  const place = { api: nodeAt(url), clock }
  const patch = { secretKey, platform: 'nextid', identity: avatar }
  let count = 0
  before = async (path) => {
    if (path !== '/v2/records' || count++ > 0) return
    const between = await putPatch({ api: nodeAt(node.url('')), clock }, { ...patch, patch: { between: true } })
    const prev = [{ counter: between.counter, id: between.id }]
    const createdAt = Math.floor(clock.now() / 1000)
    const body = buildSnapshot({ avatar, network: 'main', prev, createdAt, uuid: randomUUID(), state: [], parts: [] })
    const { payload, signature } = signRecord(body, secretKey)
    const records = [{ payload: Buffer.from(payload).toString(), signature: Buffer.from(signature).toString('base64') }]
    const { body: answer } = await node.json('/v2/records', post({ records }))
    expect(answer).toMatchObject({ results: [{ status: 'stored' }] })
  }
  expect(await putPatch(place, { ...patch, patch: { mine: true } })).toMatchObject({ status: 'stored', counter: 3 })
  expect(avatarOf(secretKey)).toBe(avatar)
  const { body } = await node.json(`/v2/avatars/${avatar}/nextid/${avatar}`)
  expect(body).toEqual({ mine: true })
})

describe('a patch that fits into no record', () => {
  it('becomes several, signed here or elsewhere', async () => {
    const large = Object.fromEntries(Array.from({ length: 400 }, (_, index) => [`k${index}`, 'é'.repeat(1_000)]))
    await writeFile(join(cwd, 'large.json'), JSON.stringify(large))
    const { code, out } = await put('--file', 'large.json', '--json')
    expect(code).toBe(0)
    const result = JSON.parse(out) as { records: object[]; counter: number }
    expect(result.records.length).toBeGreaterThan(2)
    expect(result.counter).toBe(result.records.length)
    expect((await node.json(`/v2/avatars/${avatar}/nextid/${avatar}`)).body).toEqual(large)

    const args = ['--platform', 'twitter', '--identity', 'a', '--unsigned', 'sign.json', '--avatar', avatar]
    expect(await put('--file', 'large.json', ...args)).toMatchObject({ code: 0 })
    const { records } = JSON.parse(await readFile(join(cwd, 'sign.json'), 'utf8')) as { records: { payload: string }[] }
    const signed = records.map(({ payload }) => {
      const { signature } = signRecord(JSON.parse(payload) as PatchBody, secretKey)
      return { payload, signature: Buffer.from(signature).toString('hex').replace(/^/, '0x') }
    })
    await writeFile(join(cwd, 'signed.json'), JSON.stringify(signed))
    const given = await run(['put', '--signed', 'signed.json', '--node', url], { cwd })
    expect(given).toMatchObject({ code: 0, out: `stored: ${signed.length} records\n` })
    expect((await node.json(`/v2/avatars/${avatar}/twitter/a`)).body).toEqual(large)
  })
})

it.each([
  ['a byte order mark', Buffer.from('\ufeff{"a":1}'), 0, ''],
  ['UTF-16', Buffer.from('\ufeff{"a":1}', 'utf16le'), 1, 'it is UTF-16 text. Save it as UTF-8.'],
  ['gzip', Buffer.from([0x1f, 0x8b, 8]), 1, 'it is compressed with gzip. Decompress it first.'],
  ['Latin-1', Buffer.from('{"a":"é"}', 'latin1'), 1, 'it is not UTF-8 text'],
])('a file with %s is read, or named', async (_, bytes, expected, message) => {
  await writeFile(join(cwd, 'patch.json'), bytes)
  const { code, err } = await put('--file', 'patch.json')
  expect([code, err]).toEqual([expected, expect.stringContaining(message)])
})

/** Changes the first record of a page, if it has one. */
function first(answer: JsonObject, key: string, value: string): void {
  const [record] = answer['records'] as JsonObject[]
  if (record !== undefined) record[key] = value
}
