import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Level } from 'level'
import { MemoryLevel } from 'memory-level'
import { pino } from 'pino'
import type { VerifiedRecord } from '../../src/record/types.ts'
import { verifyRecord } from '../../src/record/verify.ts'
import type { Quotas } from '../../src/store/types.ts'
import { markPath } from '../../src/store/mark.ts'
import { createStore, openStore } from '../../src/store/store.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { createMetrics } from '../../src/observe/metrics.ts'
import { selectEngine } from '../../src/verify/select-engine.ts'
import type { TestRecord } from '../oracle/signing.ts'

const NETWORK = 'main'

export type RawDb = Parameters<typeof createStore>[0]['db']
export type OpenStore = Awaited<ReturnType<typeof openStore>>

const engine = await selectEngine()
const silent = pino({ level: 'silent' })
/** One for all stores of a test file: each observes the whole process. */
const metrics = createMetrics()

export const silentComponents = { environment: systemEnvironment(), logger: silent, metrics, engine }

/** Records as ingest hands them to the store. */
export function verified(records: readonly TestRecord[]): VerifiedRecord[] {
  return records.map((record) => verifyRecord(engine, NETWORK, record, { recoveryByte: false }))
}

export interface OpenOptions {
  readonly network?: string
  readonly feedEntries?: number
  readonly archive?: boolean
  readonly keepsErased?: boolean
  readonly quotas?: Quotas
  readonly stepRecords?: number
}

/** One database, and the store on it while it is open. */
export interface StoreHarness {
  /** Opens the store; closes it first where it is open. */
  open(options?: OpenOptions): Promise<OpenStore>
  /** Whether a page of the feed ends after 4 MiB of records, because reading it reads them. */
  readonly readsPayloadsForEvents: boolean
  /** Marks the data as written by a newer version, or by an older one that this one can read, with the store closed. */
  setLayout(layout: 'newer' | 'older'): Promise<void>
  /** Lets `change` at the rows, with the store closed. */
  tamper(change: (db: RawDb) => Promise<void>): Promise<void>
  /** All rows as hex, in order, with the store closed. */
  dump(): Promise<[key: string, value: string][]>
  /** Rows that failed their check, as the metrics count them since the harness was made. */
  corruptions(): Promise<number>
  /** Closes the store and forgets its rows. */
  remove(): Promise<void>
}

/** A store on memory-level, whose rows outlive its being closed. */
export function memoryHarness(): Promise<StoreHarness> {
  const db = new MemoryLevel<Uint8Array, Uint8Array>({ keyEncoding: 'view', valueEncoding: 'view' })
  return harness({
    open: async (components, options) => {
      await db.open()
      return createStore({ ...components, db }, options)
    },
    raw: async (use) => {
      await db.open()
      await use(db).finally(() => db.close())
    },
    remove: () => db.close(),
  })
}

/** A store on LevelDB in a directory of its own. */
export async function diskHarness(): Promise<StoreHarness> {
  const folder = await mkdtemp(join(tmpdir(), 'avatar-kv-store-'))
  const location = join(folder, 'store')
  return harness({
    open: (components, options) => openStore(components, { ...options, location }),
    raw: async (use) => {
      // Rows go back to what they were before: the mark, which would tell, goes with them.
      await rm(markPath(location), { force: true })
      const db = new Level<Uint8Array, Uint8Array>(location, { keyEncoding: 'view', valueEncoding: 'view' })
      await db.open()
      await use(db).finally(() => db.close())
    },
    remove: () => rm(folder, { recursive: true }),
  })
}

/** What opening a directory says while another store has it open. */
export async function openTwice(): Promise<unknown> {
  const folder = await mkdtemp(join(tmpdir(), 'avatar-kv-store-'))
  const location = join(folder, 'store')
  const components = silentComponents
  const first = await openStore(components, { location, network: NETWORK })
  try {
    const second = await openStore(components, { location, network: NETWORK })
    await second.close()
    return undefined
  } catch (error) {
    return error
  } finally {
    await first.close()
    await rm(folder, { recursive: true })
  }
}

interface Backing {
  open(
    components: Parameters<typeof openStore>[0],
    options: OpenOptions & { readonly network: string },
  ): Promise<OpenStore>
  raw(use: (db: RawDb) => Promise<void>): Promise<void>
  remove(): Promise<void>
}

async function harness(backing: Backing): Promise<StoreHarness> {
  const corruptionsBefore = await countCorruptions()
  const components = silentComponents
  let store: OpenStore | undefined
  const close = async (): Promise<void> => {
    await store?.close()
    store = undefined
  }
  return {
    open: async (options) => {
      await close()
      store = await backing.open(components, { network: NETWORK, ...options })
      return store
    },
    readsPayloadsForEvents: true,
    setLayout: async (layout) => {
      await close()
      await backing.raw((db) => db.put(Buffer.from('mschema'), Buffer.from(layout === 'newer' ? '5' : '3')))
    },
    tamper: async (change) => {
      await close()
      await backing.raw(change)
    },
    dump: async () => {
      await close()
      const rows: [string, string][] = []
      await backing.raw(async (db) => {
        for await (const [key, value] of db.iterator()) rows.push([hex(key), hex(value)])
      })
      return rows
    },
    corruptions: async () => (await countCorruptions()) - corruptionsBefore,
    remove: async () => {
      await close()
      await backing.remove()
    },
  }
}

async function countCorruptions(): Promise<number> {
  const { text } = await metrics.expose()
  const counts = text.matchAll(/^avatar_kv_corruption_total\{[^}]*\} (\d+)$/gm)
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0)
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
