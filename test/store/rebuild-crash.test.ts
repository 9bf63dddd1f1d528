import { MemoryLevel } from 'memory-level'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { createMetrics } from '../../src/observe/metrics.ts'
import { createStore } from '../../src/store/store.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { selectEngine } from '../../src/verify/select-engine.ts'
import { verified } from './harness.ts'
import { Writer } from './writer.ts'

const components = {
  environment: systemEnvironment(),
  logger: pino({ level: 'silent' }),
  metrics: createMetrics(),
  engine: await selectEngine(),
}

test('totals are right after an end in the middle of a rebuild', async () => {
  const db = new MemoryLevel<Uint8Array, Uint8Array>({ keyEncoding: 'view', valueEncoding: 'view' })
  await db.open()
  const store = await createStore({ ...components, db }, { network: 'main' })
  const [kept, broken] = [new Writer(1), new Writer(2)]
  await store.commit(verified([...kept.chain(3), ...broken.chain(2)]))
  expect(store.totals()).toMatchObject({ avatars: 2, records: 5 })
  const avatarBytes = Buffer.from(broken.avatar.slice(2), 'hex')
  for await (const [key, value] of db.iterator({ gte: Buffer.from('s'), lt: Buffer.from('t') })) {
    if (!Buffer.from(value).includes(avatarBytes)) continue
    await db.put(
      key,
      Uint8Array.from(value, (byte, at) => (at === 90 ? byte ^ 1 : byte)),
    )
  }
  const batch = db.batch.bind(db)
  let writes = 0
  const failing = (): ReturnType<typeof db.batch> => {
    writes += 1
    if (writes > 1) throw new Error('power loss')
    return batch()
  }
  db.batch = failing as typeof db.batch
  await expect(store.rebuild(broken.avatar)).rejects.toThrow('power loss')
  db.batch = batch
  await db.close()
  await db.open()
  const again = await createStore({ ...components, db }, { network: 'main' })
  expect(again.totals()).toMatchObject({ avatars: 1, records: 3 })
  expect(again.lastSequence()).toBe(5)
  await again.close()
})
