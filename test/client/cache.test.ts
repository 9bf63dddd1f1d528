import { afterAll, beforeAll, expect, it } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { memoryRecordCache } from '../../src/client/record-cache.ts'
import { privateKeySigner } from '../../src/client/signers.ts'
import type { CachedAvatar, RecordCache } from '../../src/client/types.ts'
import type { SignedRecord } from '../../src/record/types.ts'
import { startHttpNode, type HttpNode } from '../http/node.ts'
import { newKey } from '../support/keys.ts'

let node: HttpNode
beforeAll(async () => void (node = await startHttpNode()))
afterAll(async () => await node.close())

/** Keeps bytes alone, only what is new each time, as a disk would. */
function diskCache() {
  const records = new Map<string, SignedRecord>()
  let cursors: [string, string][] = []
  const cache: RecordCache = {
    load: (): Promise<CachedAvatar | undefined> =>
      Promise.resolve(records.size === 0 ? undefined : { records: [...records.values()], cursors }),
    save(_, update) {
      for (const { id, payload, signature } of update.added) records.set(id, { payload, signature })
      cursors = [...update.cursors].map(([url, cursor]) => [url, cursor])
      return Promise.resolve()
    },
  }
  return { cache, records }
}

it('a kept avatar is verified again, and only what is new is fetched', async () => {
  const signer = privateKeySigner(newKey())
  const disk = diskCache()
  const first = createClient({ nodes: [node.url('')], cache: disk.cache })
  for (const n of [1, 2, 3]) await first.put({ signer, patch: { n } })
  const before = await first.getVerified(signer.avatar)
  expect(disk.records.size).toBe(3)

  await createClient({ nodes: [node.url('')] }).put({ signer, patch: { n: 4 } })
  const fetched: number[] = []
  const second = createClient({
    nodes: [node.url('')],
    cache: disk.cache,
    fetch: async (input, init) => {
      const response = await fetch(input, init)
      if (String(input).includes('/records?')) {
        fetched.push(((await response.clone().json()) as { records: [] }).records.length)
      }
      return response
    },
  })
  expect(await second.getVerified(signer.avatar)).toMatchObject({ state: 'verified', head: 4, records: 4 })
  // The node tells of the third as well, which the first client had written itself.
  expect(fetched.reduce((sum, each) => sum + each, 0)).toBeLessThanOrEqual(2)
  expect(disk.records.size).toBe(4)
  expect(before.head).toBe(3)
})

it('what was changed or lost where it was kept is found out, and fetched again', async () => {
  const signer = privateKeySigner(newKey())
  const disk = diskCache()
  const first = createClient({ nodes: [node.url('')], cache: disk.cache })
  for (const n of [1, 2, 3]) await first.put({ signer, patch: { n } })
  const [id, record] = [...disk.records][1] ?? []
  if (id === undefined || record === undefined) throw new Error('nothing was kept')
  for (const broken of [
    { ...record, signature: record.signature.map((byte) => byte ^ 1) },
    {
      ...record,
      payload: new TextEncoder().encode(new TextDecoder().decode(record.payload).replace('"n":2', '"n":7')),
    },
    { ...record, payload: new Uint8Array(5) },
    undefined,
  ]) {
    if (broken === undefined) disk.records.delete(id)
    else disk.records.set(id, broken)
    const again = createClient({ nodes: [node.url('')], cache: disk.cache })
    expect(await again.getVerified(signer.avatar)).toMatchObject({
      state: 'verified',
      head: 3,
      records: 3,
      missing: [],
    })
    expect(disk.records.get(id)).toEqual(record)
  }
})

it('a cache that fails is no reason to lose what it was not given', async () => {
  const signer = privateKeySigner(newKey())
  const disk = diskCache()
  let fails = true
  const save: RecordCache['save'] = (avatar, update) =>
    fails ? Promise.reject(new Error('full')) : disk.cache.save(avatar, update)
  const client = createClient({ nodes: [node.url('')], cache: { load: disk.cache.load, save } })
  await createClient({ nodes: [node.url('')] }).put({ signer, patch: { n: 1 } })
  expect(await client.getVerified(signer.avatar)).toMatchObject({ state: 'verified', records: 1 })
  const written = await client.put({ signer, patch: { n: 2 } })
  expect(written).toMatchObject({ status: 'stored', records: [{ counter: 2 }] })
  expect(disk.records.size).toBe(0)
  fails = false
  await client.getVerified(signer.avatar)
  expect(disk.records.size).toBe(2)
})

it('a cache that cannot be read is as if it had nothing', async () => {
  const signer = privateKeySigner(newKey())
  await createClient({ nodes: [node.url('')] }).put({ signer, patch: { n: 1 } })
  const cache = { ...diskCache().cache, load: () => Promise.reject(new Error('closed')) }
  const client = createClient({ nodes: [node.url('')], cache })
  expect(await client.getVerified(signer.avatar)).toMatchObject({ state: 'verified', records: 1 })
})

it('memory keeps the avatars used last', async () => {
  const cache = memoryRecordCache({ maxAvatars: 2, maxBytes: 1000 })
  const update = { network: 'main', records: [], cursors: [], added: [], base: null }
  const avatars = ['0x02a', '0x02b', '0x02c'] as const
  for (const avatar of avatars) await cache.save(avatar, { ...update, bytes: 10 })
  const kept = async () => await Promise.all(avatars.map(async (avatar) => (await cache.load(avatar)) !== undefined))
  expect(await kept()).toEqual([false, true, true])
  await cache.load('0x02b')
  await cache.save('0x02a', { ...update, bytes: 10 })
  expect(await kept()).toEqual([true, true, false])
  await cache.save('0x02b', { ...update, bytes: 5000 })
  expect(await kept()).toEqual([false, true, false])
})
