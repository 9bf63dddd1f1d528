import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { startNodeProcess } from '../../src/cli/lib/node-process.ts'
import type { NodeProcess } from '../../src/cli/lib/node-process.ts'
import { nodeAt } from '../../src/cli/lib/node.ts'
import { buildPatch } from '../../src/record/build.ts'
import { avatarOf } from '../../src/record/keys.ts'
import { signRecord } from '../../src/record/sign.ts'
import type { Citation, JsonObject, RecordBody, RecordId } from '../../src/record/types.ts'
import { run } from './run.ts'
import type { Outcome } from './run.ts'

const MAIN = resolve('dist/main.js')
const LOOPBACK = ['--http', '127.0.0.1:0', '--listen', '/ip4/127.0.0.1/tcp/0']

let cwd: string
let node: NodeProcess
let avatar: string
beforeAll(async () => {
  cwd = mkdtempSync(join(tmpdir(), 'avatar-kv-cli-'))
  node = await startNodeProcess(MAIN, ['--data-dir', 'data', ...LOOPBACK], cwd)
  avatar = (await run(['key', 'create'], { cwd })).out.trim()
})
afterAll(async () => {
  await node.stop()
  rmSync(cwd, { recursive: true })
})

/** Runs a client command against the node, or against another address. */
function call(args: readonly string[], options: { stdin?: string; url?: string } = {}): Promise<Outcome> {
  const { stdin, url = node.url } = options
  return run(args, { cwd, env: { AVATAR_KV_NODE: url }, ...(stdin === undefined ? {} : { stdin }) })
}

async function json(args: readonly string[]): Promise<JsonObject> {
  return JSON.parse((await call([...args, '--json'])).out) as JsonObject
}

describe('put, get, log', () => {
  it('writes from an argument, a file and standard input, and reads it back verified', async () => {
    const first = await call(['put', '{"app":{"colour":"red","size":1}}'])
    expect(first).toMatchObject({ code: 0, err: '' })
    expect(first.out).toMatch(/^stored {2}0x[0-9a-f]{64} {2}counter 1\n$/)
    writeFileSync(join(cwd, 'patch.json'), '{"app":{"colour":"green"}}')
    expect(await call(['put', '--file', 'patch.json'])).toMatchObject({ code: 0 })
    expect(await call(['put'], { stdin: '{"app":{"size":null}}' })).toMatchObject({ code: 0 })
    expect(await call(['put', '-'], { stdin: '{"__proto__":{"a":1}}' })).toMatchObject({ code: 0 })
    const fifth = await json(['put', '{"name":"Alice"}', '--platform', 'twitter', '--identity', 'Alice'])
    expect(fifth).toMatchObject({ status: 'stored', counter: 5, avatar, platform: 'twitter', identity: 'Alice' })

    const own = JSON.parse((await call(['get', avatar, 'nextid', '--json'])).out) as JsonObject
    expect(JSON.stringify(own)).toBe('{"__proto__":{"a":1},"app":{"colour":"green"}}')
    const whole = await json(['get', avatar, '--verify'])
    expect(whole).toMatchObject({
      head: 5,
      pending: 0,
      verified: { records: 5, digest: whole['digest'] },
      namespaces: [
        { platform: 'nextid', identity: avatar },
        { platform: 'twitter', identity: 'Alice', content: { name: 'Alice' } },
      ],
    })
    const text = await call(['get', avatar.toUpperCase().slice(2), '--verify'])
    expect(text.code).toBe(0)
    expect(text.out).toContain(`verified: 5 records checked here, digest ${String(whole['digest'])}`)
    expect(JSON.parse((await call(['get', avatar, 'twitter', 'Alice', '--verify'])).out)).toEqual({ name: 'Alice' })
  })

  it('lists signed records, newest first', async () => {
    const { records, total } = (await json(['log', avatar])) as { records: JsonObject[]; total: number }
    expect(total).toBe(5)
    expect(records.map(({ counter }) => counter)).toEqual([5, 4, 3, 2, 1])
    expect(records[0]).toMatchObject({
      platform: 'twitter',
      set: ['name'],
      deleted: [],
      status: 'stored',
      type: 'patch',
    })
    const { out, err } = await call(['log', avatar, '--limit', '2'])
    expect(out.trim().split('\n')).toHaveLength(3)
    expect(out).toContain('twitter Alice')
    expect(err).toContain('3 older records')
  })

  it('has a clear word for what is not there', async () => {
    const other = (await run(['key', 'create', 'other.key'], { cwd })).out.trim()
    for (const args of [
      ['get', other],
      ['get', other, '--verify'],
      ['log', other],
      ['get', avatar, 'github', 'nobody'],
    ]) {
      const { code, out, err } = await call(args)
      expect(code).toBe(1)
      expect(out).toBe('')
      expect(err).toContain('has nothing of')
    }
  })

  it.each([
    ['a value that fits into no record', ['put', JSON.stringify({ a: 'x'.repeat(262_144) })]],
    ['a number that is none', ['put', '{"a":1e400}']],
    ['a file that is not there', ['put', '--file', 'none.json']],
    ['a platform in capitals', ['put', '{}', '--platform', 'Twitter', '--identity', 'a']],
    ["somebody else's own namespace", ['put', '{}', '--platform', 'nextid', '--identity', 'a']],
    ['an identity without a platform', ['put', '{}', '--identity', 'a']],
    ['a key file that is not there', ['put', '{}', '--key', 'none.key']],
  ])('refuses %s and changes nothing', async (_, args) => {
    const before = await json(['get', avatar])
    const { code, out, err } = await call(args)
    expect(code).not.toBe(0)
    expect(out).toBe('')
    expect(err).toMatch(/^avatar-kv: .+/)
    expect(err).not.toContain('unexpected')
    expect(await json(['get', avatar])).toEqual(before)
  })
})

describe('records in unusual order', () => {
  async function submit(body: RecordBody, secretKey: Uint8Array): Promise<string | undefined> {
    const { payload, signature } = signRecord(body, secretKey)
    const [result] = await nodeAt(node.url).submit([
      { payload: new TextDecoder().decode(payload), signature: `0x${Buffer.from(signature).toString('hex')}` },
    ])
    return result?.status
  }

  function partsOf(secretKey: Uint8Array, prev: readonly Citation[]) {
    const createdAt = Math.floor(Date.now() / 1000)
    return { avatar: avatarOf(secretKey), network: 'main', prev, createdAt, uuid: randomUUID() }
  }

  it('says what is pending and missing, and verifies that too', async () => {
    const secretKey = randomBytes(32)
    const id: RecordId = `0x${'ab'.repeat(32)}`
    const parts = partsOf(secretKey, [{ counter: 1, id }])
    const body = buildPatch({ ...parts, platform: 'nextid', identity: parts.avatar, patch: { a: 1 } })
    expect(await submit(body, secretKey)).toBe('pending')
    const { code, out } = await call(['get', parts.avatar, '--verify'])
    expect(code).toBe(0)
    expect(out).toContain('pending  1 record')
    expect(out).toContain(id)
    expect(out).toContain('verified: 1 record checked here')
    expect((await call(['log', parts.avatar])).out).toContain('pending')
  })
})

describe('a node that lies', () => {
  /** Serves what the node serves, changed by `alter`. */
  async function impostor(alter: (path: string, answer: JsonObject) => void): Promise<{ url: string; server: Server }> {
    const server = createServer((request, response) => {
      void (async () => {
        const path = request.url ?? ''
        const answer = (await (await fetch(node.url + path.replace(/&cursor=again/, ''))).json()) as JsonObject
        alter(path, answer)
        response.end(JSON.stringify(answer))
      })().catch((error: unknown) => response.destroy(error as Error))
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server }
  }

  const entries = (answer: JsonObject, key: string) => answer[key] as JsonObject[]
  it.each<[string, (path: string, answer: JsonObject) => void, string]>([
    [
      'about content',
      (path, answer) => {
        if (!path.includes('/records')) entries(answer, 'namespaces')[1]!['content'] = { name: 'Mallory' }
      },
      'content of twitter Alice',
    ],
    [
      'by leaving out a record',
      (path, answer) => {
        if (path.includes('/records') && !path.includes('cursor')) entries(answer, 'records').splice(1, 1)
      },
      'missing: the node says 0',
    ],
    [
      'by altering a payload',
      (path, answer) => {
        const record = path.includes('/records') ? entries(answer, 'records')[0] : undefined
        if (record) record['payload'] = String(record['payload']).replace('red', 'tan')
      },
      'is not valid',
    ],
    [
      'about the digest',
      (path, answer) => {
        if (!path.includes('/records')) answer['digest'] = '0'.repeat(64)
      },
      'digest: the node says',
    ],
  ])('%s is found out', async (_, alter, message) => {
    const { url, server } = await impostor(alter)
    try {
      const { code, out, err } = await call(['get', avatar, '--verify'], { url })
      expect(code).toBe(1)
      expect(out).toBe('')
      expect(err).toContain('NOT verified')
      expect(err).toContain(message)
    } finally {
      server.close()
    }
  })

  it('cannot send control characters to the terminal', async () => {
    const { url, server } = await impostor((path, answer) => {
      if (path === '/v2/status') answer['version'] = '\u001b[2Jgone\u009b'
    })
    try {
      const { code, out } = await call(['status'], { url })
      expect(code).toBe(0)
      expect(out).toContain('\\u001b[2Jgone\\u009b')
    } finally {
      server.close()
    }
  })

  it('cannot keep a command reading for ever', async () => {
    const { url, server } = await impostor((path, answer) => {
      if (path.includes('/records')) answer['cursor'] = 'again'
    })
    try {
      const { code, err } = await call(['log', avatar], { url })
      expect(code).toBe(1)
      expect(err).toContain('again and again')
    } finally {
      server.close()
    }
  })
})

describe('status and peers', () => {
  it('show the node', async () => {
    expect(await json(['status'])).toMatchObject({ peer_id: node.peer_id, network: 'main', peers: 0 })
    const { code, out } = await call(['status'])
    expect(code).toBe(0)
    expect(out).toContain(`/p2p/${node.peer_id}`)
    expect(await json(['peers'])).toEqual({ peers: [] })
    expect((await call(['peers'])).out).toContain('has no peers')
  })

  it('say what to do where there is no node, or something else', async () => {
    const { code, err } = await call(['status'], { url: 'http://127.0.0.1:1' })
    expect(code).toBe(1)
    expect(err).toContain('avatar-kv start')
    const server = createServer((_, response) => void response.end('<html>'))
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    expect((await call(['status'], { url })).err).toContain('not what an avatar-kv node answers')
    server.close()
  })
})
