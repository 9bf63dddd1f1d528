import { createRequire } from 'node:module'
import { readFileSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { recordDigest } from '../../src/record/id.ts'
import { parseSecretKey, uncompressedAvatar } from '../../src/record/keys.ts'
import type { Avatar, JsonObject } from '../../src/record/types.ts'
import { canonicalText } from '../oracle/canonical-text.ts'
import { createCluster } from '../support/cluster.ts'
import type { Cluster, NodeProcess } from '../support/cluster.ts'
import { send, startV1Service } from './migrate-v1-service.ts'
import type { V1Entry, V1Service } from './migrate-v1-service.ts'
import { createOwner } from './snapshot-owner.ts'
import type { Owner } from './snapshot-owner.ts'

interface Bindings {
  ecdsaSign(digest: Uint8Array, secretKey: Uint8Array): { signature: Uint8Array; recid: number }
}
const bindings = createRequire(import.meta.url)('secp256k1/bindings.js') as Bindings

let cluster: Cluster
let node: NodeProcess
const owners: Owner[] = []
const services: V1Service[] = []
beforeAll(async () => {
  cluster = await createCluster()
  node = await cluster.start('new operator')
})
afterAll(async () => {
  for (const owner of owners) owner.close()
  for (const service of services) await service.close()
  await cluster.close()
})

function owner(name: string): Owner {
  const made = createOwner(`v1 ${name}`, () => node.url)
  owners.push(made)
  return made
}

async function service(...args: Parameters<typeof startV1Service>): Promise<V1Service> {
  const made = await startV1Service(...args)
  services.push(made)
  return made
}

function migrate(who: Owner, from: V1Service, ...args: string[]) {
  return who.run(['migrate', who.avatar, '--from-v1', from.url, '--to', node.url, ...args])
}

async function moved(who: Owner, from: V1Service, ...args: string[]): Promise<JsonObject> {
  return await who.json(['migrate', who.avatar, '--from-v1', from.url, '--to', node.url, ...args])
}

/** What a client of version 1 sees at the new operator. */
async function v1(who: Owner): Promise<Record<string, JsonObject>> {
  const answer = await (await fetch(`${node.url}/v1/kv?avatar=${uncompressedAvatar(who.avatar)}`)).json()
  return byName((answer as { proofs: V1Entry[] }).proofs)
}

function byName(proofs: readonly V1Entry[]): Record<string, JsonObject> {
  return Object.fromEntries(proofs.map(({ platform, identity, content }) => [`${platform} ${identity}`, content]))
}

function someProofs(avatar: Avatar): V1Entry[] {
  return [
    { platform: 'twitter', identity: 'Alice', content: { name: 'Alice', list: [1, null, { deep: null }], empty: {} } },
    {
      platform: 'nextid',
      identity: uncompressedAvatar(avatar).toUpperCase().replace('0X', '0x'),
      content: { a: { b: -0.5 } },
    },
    {
      platform: 'github',
      identity: 'é\u{1f600}',
      content: JSON.parse('{"__proto__":{"x":1},"10":1,"9":2,"":3}') as JsonObject,
    },
    { platform: 'ethereum', identity: '0xABCDEF0000000000000000000000000000000001', content: {} },
  ]
}

describe('from a service of version 1', () => {
  test('all that it shows is moved, and the new operator answers the same', async () => {
    const who = owner('all')
    const from = await service(who.avatar, { proofs: someProofs(who.avatar) })
    const { code, out, err } = await migrate(who, from, '--key', 'avatar.key')
    expect({ code, err }).toMatchObject({ code: 0 })
    expect(out).toMatch(/^moved {2}4 namespaces/)
    expect(err).toContain('twitter')
    const canonical = from.proofs.map((each) => (each.platform === 'nextid' ? { ...each, identity: who.avatar } : each))
    expect(canonicalText(await v1(who))).toBe(canonicalText(byName(canonical)))
    expect((await who.run(['get', who.avatar, '--verify'])).code).toBe(0)

    // Whether or not it can sign, it finds that all is there.
    const again = await migrate(who, from, '--unsigned', 'not-needed.json')
    expect(again).toMatchObject({ code: 0 })
    expect(again.out).toContain('nothing to do')
    expect((await node.api.avatar(who.avatar))?.head).toBe(1)
  })

  test('more than a record can hold goes in parts, and a service that says persona is understood', async () => {
    const who = owner('large')
    const content = Object.fromEntries(
      Array.from({ length: 1500 }, (_, index) => [`k${index}`, { text: 'é'.repeat(400) }]),
    )
    const proofs = [
      { platform: 'nextid', identity: who.avatar, content },
      { platform: 'twitter', identity: 'x', content: { last: 1 } },
    ]
    const from = await service(who.avatar, { proofs, parameter: 'persona' })
    const report = await moved(who, from, '--key', 'avatar.key')
    expect(report).toMatchObject({ status: 'moved', left_out: [], snapshot: { counter: 1 } })
    expect(report['parts']).toBeGreaterThan(3)
    expect(await v1(who)).toEqual(byName(proofs))
    expect(from.seen.map((address) => address.slice(0, 15))).toContain('/v1/kv?persona=')
  })

  test('what a wallet has signed counts as well', async () => {
    const who = owner('wallet')
    const from = await service(who.avatar, { proofs: someProofs(who.avatar) })
    const written = await migrate(who, from, '--unsigned', 'sign.json')
    expect(written).toMatchObject({ code: 0 })
    expect(written.out).toContain('put --signed sign.json')
    expect(await node.api.avatar(who.avatar)).toBeUndefined()

    const path = join(who.cwd, 'sign.json')
    const secretKey = parseSecretKey(readFileSync(join(who.cwd, 'avatar.key'), 'utf8'))
    const { records } = JSON.parse(readFileSync(path, 'utf8')) as { records: { payload: string; signature: string }[] }
    for (const record of records) {
      const { signature, recid } = bindings.ecdsaSign(recordDigest(Buffer.from(record.payload)), secretKey)
      record.signature = Buffer.from([...signature, recid]).toString('base64')
    }
    writeFileSync(path, JSON.stringify({ records }))
    expect(await who.run(['put', '--signed', 'sign.json', '--node', node.url])).toMatchObject({ code: 0 })
    expect((await migrate(who, from, '--key', 'avatar.key')).out).toContain('nothing to do')
    expect(Object.keys(await v1(who))).toHaveLength(4)
  })

  test('what is there already is replaced only when that is said', async () => {
    const who = owner('replaced')
    await who.json(['put', '{"mine":1}'])
    const from = await service(who.avatar, { proofs: someProofs(who.avatar) })
    const refused = await migrate(who, from, '--key', 'avatar.key')
    expect(refused).toMatchObject({ code: 1, out: '' })
    expect(refused.err).toContain('--replace')
    const unasked = await who.run(
      ['migrate', who.avatar, '--from-v1', from.url, '--to', node.url, '--key', 'avatar.key', '--replace'],
      '',
    )
    expect(unasked.code).toBe(2)
    expect(await v1(who)).toEqual({ [`nextid ${who.avatar}`]: { mine: 1 } })

    await moved(who, from, '--key', 'avatar.key', '--replace', '--yes')
    expect(Object.keys(await v1(who))).toHaveLength(4)
    expect(await node.api.avatar(who.avatar)).toMatchObject({ base: { counter: 2 }, head: 2 })
    // The old service goes on for a while, and can be followed once more.
    from.proofs[0] = { platform: 'twitter', identity: 'Alice', content: { name: 'Bob' } }
    await moved(who, from, '--key', 'avatar.key', '--replace', '--yes')
    expect((await v1(who))['twitter Alice']).toEqual({ name: 'Bob' })
  })

  test('what no record can say is named, and left out only when that is said', async () => {
    const who = owner('unsayable')
    const other = owner('somebody else')
    const text = JSON.stringify({
      persona: uncompressedAvatar(who.avatar),
      proofs: [
        {
          platform: 'nextid',
          identity: who.avatar,
          content: { good: 1, nothing: null, deep: { nothing: null, good: 2 } },
        },
        { platform: 'nextid', identity: uncompressedAvatar(who.avatar), content: { another: 1 } },
        { platform: 'nextid', identity: other.avatar, content: { stolen: 1 } },
        { platform: 'Twitter', identity: 'a', content: {} },
        { platform: 'twitter', identity: '', content: {} },
        { platform: 'github', identity: 'a', content: [] },
        { platform: 'github', identity: 'b', content: { huge: 'x'.repeat(300_000), id: 'ID', list: ['ID'], small: 1 } },
        { platform: 'github', identity: 5, content: {} },
      ],
    }).replaceAll('"ID"', '12345678901234567890')
    const from = await service(who.avatar, { answer: (response) => send(response, 200, text) })
    const refused = await migrate(who, from, '--key', 'avatar.key')
    expect(refused).toMatchObject({ code: 1, out: '' })
    for (const words of [
      '/nothing is null',
      '/deep/nothing is null',
      `nextid ${who.avatar} is there twice`,
      `nextid ${other.avatar}`,
      'Twitter a',
      '/huge is one value that does not fit',
      '/id has the number ',
      '/list has the number ',
      'github a: its content is not an object',
      'github 5: platform and identity must be texts',
      '--skip-invalid',
    ]) {
      expect(refused.err).toContain(words)
    }
    expect(await node.api.avatar(who.avatar)).toBeUndefined()

    const report = await moved(who, from, '--key', 'avatar.key', '--skip-invalid')
    expect(report['left_out']).toHaveLength(11)
    expect(await v1(who)).toEqual({
      [`nextid ${who.avatar}`]: { good: 1, deep: { good: 2 } },
      'github b': { small: 1 },
    })
    expect(await node.api.avatar(other.avatar)).toBeUndefined()
  })

  const endless = (response: ServerResponse): void => {
    response.writeHead(200, { 'content-type': 'application/json' })
    const chunk = Buffer.alloc(1024 * 1024, 0x20)
    const more = (): void => {
      while (!response.destroyed && response.write(chunk));
      if (!response.destroyed) response.once('drain', more)
    }
    more()
  }
  const hostile: [string, (avatar: Avatar, other: Avatar) => (response: ServerResponse) => void, string][] = [
    [
      'is about another avatar',
      (_, other) => (r) => send(r, 200, { avatar: other, proofs: [] }),
      'about another avatar',
    ],
    [
      'names two avatars',
      (own, other) => (r) => send(r, 200, { persona: own, avatar: other, proofs: [] }),
      'another avatar',
    ],
    ['names none', () => (r) => send(r, 200, { proofs: [] }), 'does not say whose it is'],
    ['is not JSON', () => (r) => send(r, 200, '<html>'), 'not what version 1 answers'],
    ['has no proofs', (own) => (r) => send(r, 200, { avatar: own }), 'proofs is not a list'],
    ['has none of this avatar', (own) => (r) => send(r, 200, { avatar: own, proofs: [] }), 'has nothing of'],
    ['says 404', () => (r) => send(r, 404, { message: 'not found' }), 'has nothing of'],
    ['is a page of 404', () => (r) => send(r, 404, '<h1>Not Found</h1>'), 'answered 404'],
    ['is an error', () => (r) => send(r, 500, { message: '\u001b[31mbroken' }), 'answered 500: {"message":"\\u001b'],
    [
      'is nested 100,000 deep',
      (own) => (r) => send(r, 200, `{"avatar":"${own}","proofs":${'['.repeat(100_000)}`),
      'nested',
    ],
    [
      'nests a content 100 deep',
      (own) => (r) =>
        send(
          r,
          200,
          `{"avatar":"${own}","proofs":[{"platform":"a","identity":"b","content":${'{"a":'.repeat(100)}1${'}'.repeat(100)}}]}`,
        ),
      'nests deeper than 60',
    ],
    ['never ends', () => endless, 'longer than'],
    [
      'ends too soon',
      () => (r) => void r.writeHead(200, { 'content-length': '100' }).write('{', () => r.destroy()),
      'Cannot reach',
    ],
  ]
  test.each(hostile)('an answer that %s changes nothing', async (name, answer, words) => {
    const who = owner(`hostile ${name}`)
    const from = await service(who.avatar, { answer: answer(who.avatar, owner(`other ${name}`).avatar) })
    const { code, out, err } = await migrate(who, from, '--key', 'avatar.key')
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toContain(words)
    expect(err).not.toContain('\u001b')
    expect(await node.api.avatar(who.avatar)).toBeUndefined()
  })

  test('wrong usage is said before anything is read', async () => {
    const who = owner('usage')
    const other = owner('usage of another')
    const from = await service(who.avatar, { proofs: someProofs(who.avatar) })
    const cases: [string[], string][] = [
      [[], '--key FILE'],
      [['--key', 'avatar.key', '--unsigned', 'x.json'], '--key FILE'],
      [['--key', join(other.cwd, 'avatar.key')], 'is the key of'],
      [['--key', 'avatar.key', '--watch'], '--watch'],
    ]
    for (const [args, words] of cases) {
      const { code, err } = await migrate(who, from, ...args)
      expect(code).toBe(2)
      expect(err).toContain(words)
    }
    const multiaddr = await who.run([
      'migrate',
      who.avatar,
      '--from-v1',
      from.url,
      '--to',
      node.address,
      '--key',
      'avatar.key',
    ])
    expect(multiaddr.code).toBe(2)
    expect(from.seen).toEqual([])
  })
})
