import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger } from '../../src/observe/logger.ts'
import { createMetrics } from '../../src/observe/metrics.ts'
import type { SignatureEngine } from '../../src/record/engine.ts'
import type { SignedRecord, VerifiedRecord } from '../../src/record/types.ts'
import { verifyRecord } from '../../src/record/verify.ts'
import { openStore } from '../../src/store/store.ts'
import type { Store } from '../../src/store/types.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { selectEngine } from '../../src/verify/select-engine.ts'

export interface StoreFixture {
  readonly store: Store
  verify(records: readonly SignedRecord[]): VerifiedRecord[]
  /** Milliseconds of one commit; throws unless every record is stored. */
  commit(records: readonly VerifiedRecord[]): Promise<number>
  close(): Promise<void>
}

/** A store on disk in a temporary folder, without the rest of a node. */
export async function createStoreFixture(): Promise<StoreFixture> {
  const folder = await mkdtemp(join(tmpdir(), 'avatar-kv-bench-'))
  const engine: SignatureEngine = await selectEngine()
  const logger = createLogger({ level: 'silent', pretty: false })
  const components = { environment: systemEnvironment(), logger, metrics: createMetrics(), engine }
  const store = await openStore(components, { location: join(folder, 'store'), network: 'main' })
  return {
    store,
    verify: (records) => records.map((record) => verifyRecord(engine, 'main', record, { recoveryByte: false })),
    async commit(records) {
      const start = performance.now()
      const results = await store.commit(records)
      const ms = performance.now() - start
      const other = results.find(({ status }) => status !== 'stored')
      if (other) throw new Error(`A record was ${other.status}, not stored.`)
      return ms
    },
    async close() {
      await store.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
