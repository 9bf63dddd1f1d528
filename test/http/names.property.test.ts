import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { createClient } from '../../src/client/index.ts'
import { run } from '../cli/run.ts'
import { propertyRuns } from '../support/runs.ts'
import { startHttpNode } from './node.ts'
import type { HttpNode } from './node.ts'
import { newKey, postRecords, signedPatch } from './writer.ts'

let node: HttpNode
let cwd: string
beforeAll(async () => {
  node = await startHttpNode()
  cwd = await mkdtemp(join(tmpdir(), 'avatar-kv-names-'))
})
afterAll(async () => {
  await node.close()
  await rm(cwd, { recursive: true })
})

const ODD = ['.', '..', '...', 'provenance', 'content', 'records', 'receipt', 'constructor', '__proto__', '-', '_', '0']
const platform = fc.oneof(
  fc.constantFrom(...ODD.filter((name) => /^[a-z0-9._-]+$/.test(name))),
  fc.stringMatching(/^[a-z0-9._-]{1,64}$/).filter((name) => name !== 'nextid'),
)
const odd = ['%2e', '%2E%2e', '%', '%2F', '/', '//', '../..', 'a/b', '\\', 'a\\..', '?', '#', '&x=1', '+', ' ', 'a b']
const identity = fc.oneof(
  fc.constantFrom(
    ...ODD,
    ...odd,
    '\u007f',
    '\u0085',
    '\u2028',
    '\ufeff',
    'é',
    'e\u0301',
    '\u{1f600}'.repeat(64),
    'x'.repeat(256),
  ),
  fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 64 })
    .filter((name) => [...name].every((each) => each >= ' ') && Buffer.byteLength(name) <= 256),
)

describe('every name that a record can have', () => {
  it('can be addressed: by HTTP, the client, and the command line', async () => {
    const client = createClient({ nodes: [node.url('')] })
    const key = newKey()
    let count = 0
    await fc.assert(
      fc.asyncProperty(platform, identity, async (platform, identity) => {
        const value = ++count
        const record = signedPatch(key, { platform, identity, patch: { value } })
        expect((await postRecords(node, [record])).body).toMatchObject({ results: [{ status: 'stored' }] })
        const address = `/v2/avatars/${key.avatar}`
        const query = new URLSearchParams({ platform, identity })
        const content = (await node.json(`${address}/content?${query}`)).body as { value: number }
        expect(content.value).toBeGreaterThan(0)
        const provenance = await node.json(`${address}/provenance?${query}&path=/value`)
        expect(provenance.body).toMatchObject({ platform, identity, kind: 'set' })
        expect(await client.get(key.avatar, platform, identity)).toEqual(content)
        expect(await client.provenance(key.avatar, platform, identity, '/value')).toMatchObject({ kind: 'set' })
        const isSegment = ![platform, identity].some((name) => name === '.' || name === '..')
        if (isSegment) {
          const path = `${address}/${encodeURIComponent(platform)}/${encodeURIComponent(identity)}`
          expect((await node.json(path)).body).toEqual(content)
        }
      }),
      { numRuns: propertyRuns(150) },
    )
    for (const name of ['.', '..', 'a/b', '%2e', '\\', '-x']) {
      const record = signedPatch(key, { platform: name === '..' ? '..' : 'path', identity: name, patch: { name } })
      await postRecords(node, [record])
      const place = name === '..' ? '..' : 'path'
      const asked = await run(['get', '--node', node.url(''), '--', key.avatar, place, name], { cwd })
      expect([asked.code, JSON.parse(asked.out)]).toEqual([0, expect.objectContaining({ name })])
    }
  })
})
