import { MemoryLevel } from 'memory-level'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { createMetrics } from '../../src/observe/metrics.ts'
import { createStore } from '../../src/store/store.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { selectEngine } from '../../src/verify/select-engine.ts'
import { verified } from './harness.ts'
import { Writer } from './writer.ts'

test('an index that does not fit its rows says so, and is counted anew', async () => {
  const db = new MemoryLevel<Uint8Array, Uint8Array>({ keyEncoding: 'view', valueEncoding: 'view' })
  await db.open()
  const parts = { environment: systemEnvironment(), logger: pino({ level: 'silent' }), metrics: createMetrics() }
  const store = await createStore({ ...parts, db, engine: await selectEngine() }, { network: 'main' })
  await store.commit(verified(new Writer(1).chain(3)))
  const before = await store.sync.readSnapshot('all')
  expect([...(await before.items(0, 3))]).toHaveLength(3)
  await before.close()
  for await (const key of db.keys({ gte: Uint8Array.of(0x6f), lt: Uint8Array.of(0x70), limit: 1 })) await db.del(key)
  const broken = await store.sync.readSnapshot('all')
  await expect(broken.items(0, 3)).rejects.toMatchObject({ name: 'StoreError', code: 'unreadable' })
  await broken.close()
  const counted = await store.sync.readSnapshot('all')
  expect(counted.size()).toBe(2)
  expect([...(await counted.items(0, 2))]).toHaveLength(2)
  await counted.close()
  await store.close()
})

test('commits do not wait while the index of an opened store is counted, and it has what they change', async () => {
  const db = new MemoryLevel<Uint8Array, Uint8Array>({ keyEncoding: 'view', valueEncoding: 'view' })
  await db.open()
  const parts = { environment: systemEnvironment(), logger: pino({ level: 'silent' }), metrics: createMetrics() }
  const engine = await selectEngine()
  const chain = verified(new Writer(1).chain(30))
  const first = await createStore({ ...parts, db, engine }, { network: 'main' })
  await first.commit(chain.slice(0, 20))

  // The count reads its first keys only when it may.
  let allow = (): void => undefined
  const allowed = new Promise<void>((resolve) => {
    allow = resolve
  })
  const held = new Proxy(db, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (name !== 'keys') return typeof value === 'function' ? (value.bind(target) as unknown) : value
      return (...options: Parameters<typeof db.keys>) => {
        const iterator = target.keys(...options)
        const nextv = iterator.nextv.bind(iterator)
        return Object.assign(iterator, {
          nextv: async (size: number) => {
            await allowed
            return await nextv(size)
          },
        })
      }
    },
  })
  const second = await createStore({ ...parts, db: held, engine }, { network: 'main' })
  let isCounted = false
  const counting = second.sync.readSnapshot('all').then((index) => {
    isCounted = true
    return index
  })
  for (const record of chain.slice(20)) expect(await second.commit([record])).toMatchObject([{ status: 'stored' }])
  expect(isCounted).toBe(false)
  allow()
  const index = await counting
  expect(index.size()).toBe(30)
  expect(await index.items(0, 30)).toHaveLength(30)
  await index.close()
  await second.close()
})

test('an opening does not count the index; the first use does', async () => {
  const db = new MemoryLevel<Uint8Array, Uint8Array>({ keyEncoding: 'view', valueEncoding: 'view' })
  await db.open()
  const parts = { environment: systemEnvironment(), logger: pino({ level: 'silent' }), metrics: createMetrics() }
  const engine = await selectEngine()
  const first = await createStore({ ...parts, db, engine }, { network: 'main' })
  await first.commit(verified(new Writer(1).chain(3)))

  let isRead = false
  const observed = new Proxy(db, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (name !== 'keys') return typeof value === 'function' ? (value.bind(target) as unknown) : value
      return (...[range]: Parameters<typeof db.keys>) => {
        isRead ||= (range as { readonly gte?: Uint8Array } | undefined)?.gte?.[0] === 'o'.charCodeAt(0)
        return target.keys(range ?? {})
      }
    },
  })
  const second = await createStore({ ...parts, db: observed, engine }, { network: 'main' })
  await second.commit(verified(new Writer(2).chain(2)))
  expect(isRead).toBe(false)
  const index = await second.sync.readSnapshot('all')
  expect(isRead).toBe(true)
  expect(index.size()).toBe(5)
  await index.close()
  await second.close()
})
