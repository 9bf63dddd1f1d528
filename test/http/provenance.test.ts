import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { privateKeySigner } from '../../src/client/signers.ts'
import { planSnapshot } from '../../src/snapshot/plan.ts'
import { signRecord } from '../../src/record/sign.ts'
import { newKey } from '../support/keys.ts'
import { startHttpNode, type HttpNode } from './node.ts'

let node: HttpNode
beforeAll(async () => void (node = await startHttpNode()))
afterAll(async () => await node.close())

const key = newKey()
const signer = privateKeySigner(key)
const ask = async (path: string, name = `nextid/${signer.avatar}`) =>
  await node.json(`/v2/avatars/${signer.avatar}/${name}/provenance?path=${encodeURIComponent(path)}`)

describe('GET …/provenance', () => {
  it('names the patch that set or removed a value, as the client does from the records', async () => {
    const client = createClient({ nodes: [node.url('')] })
    const put = async (patch: { [key: string]: never } | object) =>
      (await client.put({ signer, patch: patch as never })).records[0]?.id
    const first = await put({ a: { b: 1, c: [{ d: 2 }] }, 'x/y': 1 })
    const second = await put({ a: { b: null } })
    const third = await put({ z: 1, 'x/y': 'new' })
    const cases: [string, object][] = [
      ['/a/b', { kind: 'removed', at: '/a/b', id: second, counter: 2, by: 'patch' }],
      ['/a/c', { kind: 'set', at: '/a/c', id: first, counter: 1 }],
      ['/a/c/0/d', { kind: 'set', at: '/a/c', id: first }],
      ['/a/c/1', { kind: 'removed', at: '/a/c', id: first }],
      ['/a', { kind: 'set', at: '/a', id: second }],
      ['/x~1y', { kind: 'set', at: '/x~1y', id: third, counter: 3 }],
      ['/never', { kind: 'unset', at: null, id: null, counter: null, created_at: null, by: null }],
      ['/a/never', { kind: 'unset', id: null }],
    ]
    for (const [path, expected] of cases) {
      const { status, body } = await ask(path)
      expect({ status, ...body }).toMatchObject({ status: 200, path, ...expected })
      expect(await client.provenance(signer.avatar, 'nextid', signer.avatar, path)).toEqual(body)
    }
  })

  it('names the part of a base that holds a value', async () => {
    const client = createClient({ nodes: [node.url('')] })
    const { tips } = await client.getVerified(signer.avatar)
    const content = Object.fromEntries(Array.from({ length: 12 }, (_, at) => [`k${at}`, 'x'.repeat(60_000)]))
    const { snapshot, parts } = planSnapshot({
      avatar: signer.avatar,
      network: 'main',
      prev: tips,
      createdAt: Math.floor(Date.now() / 1000),
      uuids: (index) => `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`,
      namespaces: [{ platform: 'nextid', identity: signer.avatar, content }],
    })
    const records = [snapshot, ...parts].map((body) => signRecord(body, key))
    const submitted = await node.json('/v2/records', {
      method: 'POST',
      body: JSON.stringify({
        records: records.map(({ payload, signature }) => ({
          payload: Buffer.from(payload).toString(),
          signature: `0x${Buffer.from(signature).toString('hex')}`,
        })),
      }),
    })
    expect(submitted.body.results.map(({ status }: { status: string }) => status)).not.toContain('invalid')
    const ids = new Set<string>()
    for (const each of Object.keys(content)) {
      const { body } = await ask(`/${each}`)
      expect(body).toMatchObject({ kind: 'set', at: `/${each}`, by: 'part', counter: snapshot.counter })
      expect(await client.provenance(signer.avatar, 'nextid', signer.avatar, `/${each}`)).toEqual(body)
      ids.add(body.id)
    }
    expect([...ids].sort()).toEqual([...snapshot.parts].sort())
    expect((await ask('/a/b')).body).toMatchObject({ kind: 'unset' })
  })

  it('says what is wrong with a question', async () => {
    for (const path of ['', 'a', '/~2']) {
      expect(await ask(path)).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
    }
    expect(await ask('/a', 'twitter/nobody')).toMatchObject({ status: 404, body: { code: 'unknown_namespace' } })
  })
})
