import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import type { Admission } from '../../src/ingest/admission.ts'
import { createIngest } from '../../src/ingest/ingest.ts'
import { DEFAULT_INGEST_LIMITS, type IngestLimits } from '../../src/ingest/limits.ts'
import type { Origin } from '../../src/ingest/types.ts'
import { createMetrics } from '../../src/observe/metrics.ts'
import { sign } from '../../src/record/curve.ts'
import type { SignatureEngine } from '../../src/record/engine.ts'
import { recordDigest } from '../../src/record/id.ts'
import type { PatchBody, SignedRecord } from '../../src/record/types.ts'
import { openStore } from '../../src/store/store.ts'
import type { Store } from '../../src/store/types.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { selectEngine } from '../../src/verify/select-engine.ts'
import { createVerifyService } from '../../src/verify/verify-service.ts'
import { signBody, type TestKey, type TestRecord } from '../oracle/signing.ts'
import type { Writer } from '../store/writer.ts'

const NETWORK = 'main'
/** The node's clock, in Unix seconds: when `Writer` writes. */
export const NOW_S = 1_790_000_000

const engine = await selectEngine()
let signatureChecks = 0
/** The real engine, which counts. */
const countingEngine: SignatureEngine = {
  ...engine,
  verify(signature, digest, publicKey) {
    signatureChecks += 1
    return engine.verify(signature, digest, publicKey)
  },
}
/** One for all stores of a test file; each door counts in its own. */
const storeMetrics = createMetrics()

export interface DoorOptions {
  readonly limits?: Partial<IngestLimits>
  readonly announce?: (records: readonly SignedRecord[], origin: Origin) => void
  readonly admission?: Admission
  /** Called before each commit; what it throws is what the commit throws. */
  readonly beforeCommit?: (call: number) => void | Promise<void>
  /** Called once the records of a commit are on disk; what it throws is what the commit throws. */
  readonly afterCommit?: (call: number) => void
}

export type Door = Awaited<ReturnType<typeof openDoor>>

/** The door before a real store in a directory of its own, with real verification. */
export async function openDoor(options: DoorOptions = {}) {
  const { limits = {}, announce, beforeCommit, afterCommit, admission } = options
  const directory = await mkdtemp(join(tmpdir(), 'avatar-kv-ingest-'))
  const lines: Record<string, unknown>[] = []
  const logger = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) })
  const environment = { ...systemEnvironment(), clock: { now: () => NOW_S * 1_000 } }
  const store = await openAt(join(directory, 'store'))
  const verifier = createVerifyService(
    { engine: countingEngine, logger: pino({ level: 'silent' }), stored: (ids) => store.sync.signed(ids) },
    { network: NETWORK, workers: 0 },
  )
  const metrics = createMetrics()
  const announced: { records: readonly SignedRecord[]; origin: Origin }[] = []
  const commits: number[] = []
  const verified: number[] = []

  const commit: Store['commit'] = async (records) => {
    commits.push(records.length)
    await beforeCommit?.(commits.length)
    const results = await store.commit(records)
    afterCommit?.(commits.length)
    return results
  }
  const ingest = createIngest(
    {
      store: { commit },
      verifier: {
        verify(records, how) {
          verified.push(records.length)
          return verifier.verify(records, how)
        },
      },
      ...(admission === undefined ? {} : { admission }),
      environment,
      logger,
      metrics,
      announce(records, origin) {
        announced.push({ records, origin })
        announce?.(records, origin)
      },
    },
    { ...DEFAULT_INGEST_LIMITS, ...limits },
  )

  return {
    store,
    ingest,
    /** Lines of the door's log. */
    lines,
    announced,
    /** How many records each commit had, in order. */
    commits,
    /** How many records each verification had, in order. */
    verified,
    /** How many signatures were checked, by all doors of the test file. */
    signatureChecks: () => signatureChecks,
    location: join(directory, 'store'),
    directory,
    /** Counts of `avatar_kv_records_total`, by origin and status. */
    async counts(): Promise<Record<string, number>> {
      const { text } = await metrics.expose()
      const found = text.matchAll(/^avatar_kv_records_total\{origin="(\w+)",status="(\w+)"\} (\d+)$/gm)
      return Object.fromEntries([...found].map(([, origin, status, count]) => [`${origin} ${status}`, Number(count)]))
    },
    async waiting(): Promise<number> {
      const { text } = await metrics.expose()
      return Number(/^avatar_kv_ingest_waiting_records (\d+)$/m.exec(text)?.[1])
    },
    async close() {
      await ingest.stop()
      await verifier.close()
      await store.close()
      await rm(directory, { recursive: true })
    },
  }
}

/** A store of its own on a directory. */
export function openAt(location: string) {
  const components = { environment: systemEnvironment(), logger: pino({ level: 'silent' }), metrics: storeMetrics }
  return openStore({ ...components, engine }, { location, network: NETWORK })
}

/** A patch with another time than the node's clock. */
export function patchAt(writer: Writer, createdAt: number): TestRecord {
  return signBody(writer.key, { ...writer.patch([]).body, created_at: createdAt } as PatchBody)
}

/** The record with a signature of 65 bytes: the 64, then v = 27 or 28. */
export function withV({ payload, signature }: SignedRecord, key: TestKey): SignedRecord {
  // noble puts the recovery id first.
  const recovered = sign(recordDigest(payload), key.secretKey, { prehash: false, format: 'recovered' })
  return { payload, signature: Uint8Array.from([...signature, 27 + (recovered[0] ?? 0)]) }
}

/** The record with one bit of its signature's r changed. */
export function forged({ payload, signature }: SignedRecord): SignedRecord {
  const changed = Uint8Array.from(signature)
  changed[0] = (changed[0] ?? 0) ^ 1
  return { payload, signature: changed }
}

export function text(payload: string): Uint8Array {
  return new TextEncoder().encode(payload)
}
