import { MemoryLevel } from 'memory-level'
import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import type { VerifiedRecord } from '../../src/record/types.ts'
import { createMetrics } from '../../src/observe/metrics.ts'
import { createStore } from '../../src/store/store.ts'
import { type RebuildableStore } from '../../src/store/types.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { selectEngine } from '../../src/verify/select-engine.ts'
import { expectOracle } from './expectations.ts'
import { verified } from './harness.ts'
import { expectSynced } from './sync-expectations.ts'
import { entry, Writer } from './writer.ts'
import { viewOf } from './read-whole.ts'

/* The node ends in the middle of background work, at every one of its steps: the next one goes on, and ends the same. */

const components = {
  environment: systemEnvironment(),
  logger: pino({ level: 'silent' }),
  metrics: createMetrics(),
  engine: await selectEngine(),
}

type Db = MemoryLevel<Uint8Array, Uint8Array>

async function open(db: Db, archive: boolean): Promise<RebuildableStore> {
  await db.open()
  return createStore({ ...components, db }, { network: 'main', archive, stepRecords: 5 })
}

/** Lets `count` batches through and none after them, as a power loss would. */
function endAfter(db: Db, count: number): { undo: () => void; written: () => number } {
  const batch = db.batch.bind(db)
  let written = 0
  db.batch = ((...args: Parameters<typeof batch>) => {
    if (written >= count) throw new Error('power loss')
    written += 1
    return batch(...args)
  }) as typeof db.batch
  return { undo: () => void (db.batch = batch), written: () => written }
}

async function rowsOf(db: Db): Promise<string[]> {
  await db.open()
  const rows: string[] = []
  for await (const [key, value] of db.iterator()) {
    // The epoch is each store's own.
    if (Buffer.from(key).toString() === 'mepoch') continue
    rows.push(`${Buffer.from(key).toString('hex')} ${Buffer.from(value).toString('hex')}`)
  }
  await db.close()
  return rows
}

interface Case {
  readonly before: readonly (readonly VerifiedRecord[])[]
  /** What leaves background work behind. */
  readonly act: (store: RebuildableStore) => Promise<unknown>
  readonly check: (store: RebuildableStore) => Promise<void>
}

function pruningCase(): Case {
  const [one, other] = [new Writer(1), new Writer(2)]
  const chain = one.chain(33)
  const base = one.snapshot([chain[27]!], [entry({ a: 1 })])
  const batches = [verified(chain), verified(other.chain(3))]
  const snapshot = verified([base])
  return {
    before: batches,
    act: (store) => store.commit(snapshot),
    check: async (store) => {
      await expectOracle(store, one.avatar, [...batches[0]!, ...snapshot])
      await expectOracle(store, other.avatar, batches[1]!)
    },
  }
}

function forgettingCase(): Case {
  const [one, other] = [new Writer(1), new Writer(2)]
  const chain = one.chain(23)
  const records = verified([...chain, one.snapshot([chain[11]!]), one.patch([one.patch([])])])
  const bystanders = verified(other.chain(3))
  return {
    before: [records, bystanders],
    act: (store) => store.forget(one.avatar),
    check: async (store) => {
      expect(await viewOf(store, one.avatar)).toBeUndefined()
      expect(store.totals()).toMatchObject({ avatars: 1, records: 3 })
      await expectSynced(store, other.avatar, bystanders)
      await expectOracle(store, other.avatar, bystanders)
    },
  }
}

describe.each([
  ['pruning', pruningCase, false],
  ['clearing away history that is kept', pruningCase, true],
  ['forgetting', forgettingCase, false],
  ['forgetting, with history', forgettingCase, true],
] as const)('%s', (_, make, archive) => {
  test('goes on where it ended, at whatever step', async () => {
    const { before, act, check } = make()
    const run = async (batches: number): Promise<{ rows: string[]; written: number }> => {
      const db: Db = new MemoryLevel<Uint8Array, Uint8Array>({ keyEncoding: 'view', valueEncoding: 'view' })
      const store = await open(db, archive)
      for (const records of before) await store.commit(records)
      await store.tasksDone()
      const { undo, written } = endAfter(db, batches)
      await act(store).catch(() => undefined)
      await store.tasksDone()
      undo()
      await store.close()
      const again = await open(db, archive)
      await again.tasksDone()
      // Where the power was lost before the act itself was written, it is done again.
      await act(again)
      await again.tasksDone()
      await check(again)
      await again.close()
      return { rows: await rowsOf(db), written: written() }
    }
    const whole = await run(Infinity)
    expect(whole.written).toBeGreaterThan(3)
    for (let batches = 0; batches < whole.written; batches += 1) {
      expect((await run(batches)).rows).toEqual(whole.rows)
    }
  })
})
