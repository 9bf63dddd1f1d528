import { PEER_VERSIONS } from './install.ts'
import type { SystemName } from './jobs.ts'

/** One system under one setting, and how much of the work it gets. Slow ones get less, and rates are compared. */
export interface Subject {
  readonly name: string
  readonly system: SystemName
  /** What one signature covers. */
  readonly signature: string
  /** What is on disk when a write returns. */
  readonly durable: string
  /** Whether the bench fsyncs its files. */
  readonly fsync?: boolean
  readonly turns: number
  /** Values written one at a time, and in batches. */
  readonly single: number
  readonly batched: number
  /** Values that a second process fetches, and that follow live. */
  readonly cold: number
  readonly live: number
}

const TURNS = 5
const QUICK = { turns: TURNS, single: 1_000, batched: 5_000, cold: 5_000, live: 2_000 }
const hyperbee = {
  ...QUICK,
  system: 'hyperbee',
  signature: 'one a write or batch: the root of the Merkle tree',
} as const

/** The first is what the others are compared with. */
export const SUBJECTS: readonly [Subject, ...Subject[]] = [
  { ...QUICK, name: 'avatar-kv', system: 'avatar-kv', signature: 'one a value', durable: 'fsynced' },
  {
    ...hyperbee,
    name: `Hyperbee ${PEER_VERSIONS.hyperbee}`,
    durable: 'in the cache of the operating system: never fsynced',
  },
  {
    ...hyperbee,
    name: `Hyperbee ${PEER_VERSIONS.hyperbee} + fsync`,
    durable: "fsynced: the bench syncs RocksDB's log after each write or batch",
    fsync: true,
    // What a second process does is the same: only writes differ.
    cold: 0,
    live: 0,
  },
  {
    ...QUICK,
    name: `@atproto/repo ${PEER_VERSIONS['@atproto/repo']}`,
    system: 'atproto',
    signature: 'one a write or batch: the root of the Merkle search tree',
    durable: 'fsynced: the bench puts the blocks of each commit into LevelDB; the package stores in memory alone',
    live: 0,
  },
  {
    name: `GUN ${PEER_VERSIONS.gun}`,
    system: 'gun',
    signature: 'one a value',
    durable: 'in a file that is written as a whole, never fsynced',
    turns: 2,
    single: 300,
    batched: 1_000,
    cold: 1_000,
    live: 500,
  },
]
