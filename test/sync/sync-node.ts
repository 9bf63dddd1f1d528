import { MemoryLevel } from 'memory-level'
import { pino } from 'pino'
import type { Environment } from '../../src/platform/environment.ts'
import { ADMITS_ALL } from '../../src/ingest/admission.ts'
import { createIngest } from '../../src/ingest/ingest.ts'
import { DEFAULT_INGEST_LIMITS, type IngestLimits } from '../../src/ingest/limits.ts'
import { createMetrics } from '../../src/observe/metrics.ts'
import type { SignedRecord } from '../../src/record/types.ts'
import { createStore } from '../../src/store/store.ts'
import { BulkLease, memoryMark } from '../../src/sync/bootstrap.ts'
import { SyncError } from '../../src/sync/errors.ts'
import { runFetch, runInitiator } from '../../src/sync/initiator.ts'
import { DEFAULT_SYNC_LIMITS, type SyncLimits } from '../../src/sync/limits.ts'
import { createRefusals } from '../../src/sync/refusals.ts'
import { runResponder, type ServedReport } from '../../src/sync/responder.ts'
import { newProgress, type PeerMemory, type SessionParts, type SessionReport } from '../../src/sync/session.ts'
import type { Scope } from '../../src/store/types.ts'
import { selectEngine } from '../../src/verify/select-engine.ts'
import { createVerifyService } from '../../src/verify/verify-service.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import type { TestRecord } from '../oracle/signing.ts'
import { streamPair, type Line, type LineOptions } from './stream-pair.ts'

/** The nodes' clock, in Unix seconds: after all that `Writer` writes. */
export const NOW_S = 1_790_001_000

const engine = await selectEngine()
const silent = pino({ level: 'silent' })
const metrics = createMetrics()
const verifier = createVerifyService({ engine, logger: silent }, { network: 'main', workers: 0 })

const DISK_FULL = { code: 'disk_full', message: 'No room.', retry: true }

export interface SyncNodeOptions {
  readonly ingest?: Partial<IngestLimits>
  readonly limits?: Partial<SyncLimits>
  readonly scope?: Scope
  readonly network?: string
  /** Whether the node takes no records. */
  readonly isClosed?: () => boolean
}

export type SyncNode = Awaited<ReturnType<typeof openNode>>

/** A real store and a real door, and what a session needs beside. */
export async function openNode(options: SyncNodeOptions = {}) {
  const clock = { nowMs: NOW_S * 1_000 }
  const environment: Environment = { ...systemEnvironment(), clock: { now: () => clock.nowMs } }
  const parts = { environment, logger: silent, metrics }
  const db = new MemoryLevel<Uint8Array, Uint8Array>({ keyEncoding: 'view', valueEncoding: 'view' })
  const store = await createStore({ ...parts, engine, db }, { network: 'main' })
  const submitted: number[] = []
  const ingest = createIngest(
    {
      ...parts,
      metrics: quiet,
      store,
      verifier,
      announce: () => {},
      admission: { ...ADMITS_ALL, admit: () => (options.isClosed?.() === true ? DISK_FULL : undefined) },
    },
    { ...DEFAULT_INGEST_LIMITS, ...options.ingest },
  )
  const refusals = createRefusals(environment.clock)
  const mark = memoryMark()
  const lease = new BulkLease(environment.timers)
  const memories = new Map<string, PeerMemory>()

  function memoryOf(peer: string): PeerMemory {
    const known = memories.get(peer)
    if (known !== undefined) return known
    const made = {
      refusedThere: createRefusals(environment.clock),
      undelivered: createRefusals(environment.clock),
      withheld: 0,
      bulkDone: false,
      listedUpTo: 0,
    }
    memories.set(peer, made)
    return made
  }

  return {
    store,
    clock,
    refusals,
    mark,
    memoryOf,
    ingest,
    submitted,
    /** What a session with a peer works with. */
    parts(peer: string, overrides: Partial<SessionParts> = {}): SessionParts {
      return {
        peer,
        host: { key: peer },
        source: store.sync,
        ingest: {
          submit(records, how) {
            submitted.push(records.length)
            return ingest.submit(records, how)
          },
        },
        environment,
        keccak256: engine.keccak256,
        network: options.network ?? 'main',
        scope: options.scope ?? 'all',
        limits: { ...DEFAULT_SYNC_LIMITS, ...options.limits },
        refusals,
        memory: memoryOf(peer),
        mark,
        lease,
        progress: newProgress(),
        signal: new AbortController().signal,
        ...overrides,
      }
    },
    async put(records: readonly SignedRecord[]): Promise<void> {
      for (let at = 0; at < records.length; at += 1_000) {
        const results = await ingest.submit(records.slice(at, at + 1_000), { origin: 'import' })
        const wrong = results.find(({ status }) => status === 'invalid' || status === 'refused')
        if (wrong !== undefined) throw new Error(`${wrong.status} ${wrong.code}: ${wrong.message}`)
      }
    },
    /** Ids of the live records, in hex and in order. */
    async ids(): Promise<string[]> {
      const readSnapshot = await store.sync.readSnapshot('all')
      const ids: string[] = []
      for (let at = 0; at < readSnapshot.size(); at += 1_000) {
        const items = await readSnapshot.items(at, Math.min(readSnapshot.size(), at + 1_000))
        for (const { id } of items) ids.push(`0x${Buffer.from(id).toString('hex')}`)
      }
      await readSnapshot.close()
      return ids
    },
    async close(): Promise<void> {
      await ingest.stop()
      await store.close()
    },
  }
}

/** Counts nothing: gauges of many doors would share one name. */
const quiet = { records: () => {}, gauge: () => {} }

export interface SessionEnd<T> {
  readonly report?: T
  readonly error?: SyncError
}

export interface Session {
  readonly mine: SessionEnd<SessionReport>
  readonly theirs: SessionEnd<ServedReport>
  readonly line: Line
  readonly parts: SessionParts
  readonly theirParts: SessionParts
}

async function ended<T>(run: Promise<T>): Promise<SessionEnd<T>> {
  try {
    return { report: await run }
  } catch (error) {
    if (error instanceof SyncError) return { error }
    throw error
  }
}

/** Lets `a` open a session with `b`. */
export async function sync(
  a: SyncNode,
  b: SyncNode,
  options: LineOptions = {},
  overrides: Partial<SessionParts> = {},
): Promise<Session> {
  const line = streamPair(options)
  const parts = a.parts('b', overrides)
  const theirParts = b.parts('a')
  const [mine, theirs] = await Promise.all([
    ended(runInitiator(parts, line.streams[0])),
    ended(runResponder(theirParts, line.streams[1])),
  ])
  return { mine, theirs, line, parts, theirParts }
}

/** Lets `a` fetch some records from `b`. */
export async function fetch(a: SyncNode, b: SyncNode, records: readonly TestRecord[]) {
  const line = streamPair()
  const ids = records.map(({ id }) => new Uint8Array(Buffer.from(id.slice(2), 'hex')))
  const [mine] = await Promise.all([
    ended(runFetch(a.parts('b'), line.streams[0], ids)),
    ended(runResponder(b.parts('a'), line.streams[1])),
  ])
  return mine
}

export function sortedIds(records: readonly TestRecord[]): string[] {
  return records.map(({ id }) => id).sort()
}
