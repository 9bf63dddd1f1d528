import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { uncompressedAvatar } from '../../src/record/keys.ts'
import type { Avatar } from '../../src/record/types.ts'
import { startHttpNode } from '../http/node.ts'
import type { HttpNode } from '../http/node.ts'
import { run } from './run.ts'

let cwd: string
let node: HttpNode
let service: Server
/** What the service of version 1 answers as `proofs`. */
let proofs = ''
let avatar: Avatar

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'avatar-kv-exact-'))
  node = await startHttpNode()
  const made = await run(['key', 'create', '--json'], { cwd })
  avatar = (JSON.parse(made.out) as { avatar: Avatar }).avatar
  service = createServer((_, response) => {
    const key = JSON.stringify(uncompressedAvatar(avatar))
    response.end(`{"persona":${key},"avatar":${key},"proofs":${proofs}}`)
  })
  await once(service.listen(0, '127.0.0.1'), 'listening')
})
afterAll(async () => {
  service.close()
  await node.close()
  await rm(cwd, { recursive: true })
})

/** JSON texts, and a part of the message where one is refused. */
const texts: readonly (readonly [string, string | undefined])[] = [
  ['{"wei":1000000000000000000}', undefined],
  ['{"n":9007199254740992,"m":18446744073709551616,"k":0.10000000000000001}', undefined],
  ['{"a":{"n":4611686018427387905}}', 'The number 4611686018427387905 at /a/n would become'],
  ['{"n":9007199254740993.0}', '/n'],
  ['{"n":1e400}', '/n is greater than any'],
  ['{"a":{"x/y":1,"x/y":1}}', 'The key "x/y" stands twice, at /a/x~1y'],
]

describe('put', () => {
  it.each(texts)('of %s: argument, standard input and file are judged alike', async (text, message) => {
    await writeFile(join(cwd, 'patch.json'), text)
    const ways = [
      await run(['put', text, '--node', node.url('')], { cwd }),
      await run(['put', '-', '--node', node.url('')], { cwd, stdin: text }),
      await run(['put', '--file', 'patch.json', '--node', node.url('')], { cwd }),
    ]
    for (const { code, err } of ways) {
      expect([code, err]).toEqual([message === undefined ? 0 : 2, err])
      expect(err).toContain(message ?? '')
    }
    if (message !== undefined) return
    const { out } = await run(['get', avatar, '--json', '--verify', '--node', node.url('')], { cwd })
    const { namespaces } = JSON.parse(out) as { namespaces: { content: object }[] }
    expect(namespaces[0]?.content).toMatchObject(JSON.parse(text) as object)
  })

  it('--signed takes no record with two payloads', async () => {
    await writeFile(join(cwd, 'signed.json'), '{"payload":"{}","payload":"{}","signature":"0x"}')
    const { code, err } = await run(['put', '--signed', 'signed.json', '--node', node.url('')], { cwd })
    expect([code, err]).toEqual([1, expect.stringContaining('The key "payload" stands twice')])
  })
})

describe('migrate --from-v1', () => {
  const migrate = (...args: string[]) =>
    run(
      ['migrate', avatar, '--from-v1', urlOf(service), '--to', node.url(''), '--key', 'avatar.key', '--yes', ...args],
      {
        cwd,
      },
    )

  it('moves what a double holds exactly, and names the rest with its place', async () => {
    proofs = '[{"platform":"twitter","identity":"a","content":{"wei":1000000000000000000,"id":9007199254740992}}]'
    expect(await migrate('--replace')).toMatchObject({ code: 0 })

    proofs =
      '[{"platform":"twitter","identity":"a","content":{"good":1,"twice":1,"twice":{"x":2},"list":[{"n":9007199254740993}],' +
      '"deep":{"n":0.12345678901234567890,"kept":true}}},' +
      '{"platform":"github","identity":"a","identity":"b","content":{"lost":1}}]'
    const refused = await migrate('--replace')
    expect(refused.code).toBe(1)
    for (const words of [
      'twitter a: /twice has the key "twice" twice',
      'twitter a: /list has the number 9007199254740993',
      'twitter a: /deep/n has the number 0.12345678901234567890',
      'github b: identity stands twice',
    ]) {
      expect(refused.err).toContain(words)
    }
    expect(await migrate('--replace', '--skip-invalid')).toMatchObject({ code: 0 })
    const { out } = await run(['get', avatar, 'twitter', 'a', '--node', node.url('')], { cwd })
    expect(JSON.parse(out)).toEqual({ good: 1, deep: { kept: true } })
  })

  it('takes no answer that says twice what it says', async () => {
    proofs = '[],"proofs":[{"platform":"twitter","identity":"a","content":{}}]'
    const { code, err } = await migrate('--replace')
    expect([code, err]).toEqual([1, expect.stringContaining('The key "proofs" stands twice')])
  })
})

it('the inputs of the tests are what JSON.parse would change in silence', async () => {
  expect(await readFile(join(cwd, 'avatar.key'), 'utf8')).toMatch(/^[0-9a-f]{64}\n$/)
  for (const [text, message] of texts) {
    if (message !== undefined) expect(JSON.stringify(JSON.parse(text))).not.toBe(text)
  }
})

function urlOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
