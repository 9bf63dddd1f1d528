import type { Environment } from '../../src/platform/environment.ts'
import type { IngestResult } from '../../src/ingest/types.ts'
import { createMemoryIndex } from '../../src/negentropy/negentropy.ts'
import { createSync } from '../../src/sync/scheduler.ts'
import type { SyncSnapshot, SyncSource } from '../../src/store/types.ts'
import type { FrameStream, SyncTransport } from '../../src/sync/types.ts'
import { NETWORK } from './crypto.ts'
import type { HostilePeer, Stocked } from './hostile.ts'
import { WORLD_EPOCH_MS } from './process.ts'
import type { Random } from './random.ts'
import type { World } from './world-types.ts'

/** Ids that it claims and nobody has. */
const MAX_INVENTED = 40
const INTERVAL_MS = 8_000

/** Latest that it comes. */
const MAX_ENTRY_MS = 5_000

/**
 * Lets a hostile peer take part in sync, as long as faults are on: its sessions follow the protocol in form, on records
 * that do not exist, or they break off, or hang.
 */
export function lieInSync(world: World, peer: HostilePeer): void {
  const { timeline } = world
  const random = world.random.fork()
  const isAlive = (): boolean => !world.isHealed
  const environment: Environment = {
    clock: { now: () => WORLD_EPOCH_MS + timeline.nowMs },
    timers: {
      after: (delayMs, run) =>
        timeline.after(delayMs, 'hostile timer', () => {
          if (isAlive()) run()
        }),
    },
    random: { bytes: (length) => random.bytes(length) },
  }
  timeline.after(random.between(0, MAX_ENTRY_MS), 'hostile joins sync', () => {
    const sync = createSync(
      {
        source: lyingSource(random, () => peer.stock()),
        ingest: { submit: async (records) => records.map(() => random.pick(VERDICTS)) },
        transport: spoiling(random, world.switchboard.attach({ number: peer.number, isAlive }).sync),
        environment,
        logger: world.logger(),
        metrics: { gauge: () => {}, counter: () => {} },
        keccak256: world.engine.keccak256,
      },
      { network: random.chance(0.1) ? 'other' : NETWORK, limits: { intervalMs: INTERVAL_MS } },
    )
    sync.start()
  })
}

/** A transport whose streams cannot be relied on. */
function spoiling(random: Random, inner: SyncTransport): SyncTransport {
  return {
    localPeer: inner.localPeer,
    peers: () => inner.peers(),
    hostOf: (peer) => inner.hostOf(peer),
    isConfigured: (peer) => inner.isConfigured(peer),
    open: async (peer, signal) => spoil(random, await inner.open(peer, signal)),
    listen: (listener) =>
      inner.listen({ ...listener, stream: (peer, stream) => listener.stream(peer, spoil(random, stream)) }),
    penalize: () => {},
  }
}

const VERDICTS: readonly [IngestResult, ...IngestResult[]] = [
  { id: null, status: 'duplicate' },
  { id: null, status: 'stored' },
  { id: null, status: 'refused', code: 'too_many_pending', message: '', retry: true },
]

/** Claims what it heard and what it invents, and delivers something else, or nothing. */
function lyingSource(random: Random, records: () => readonly Stocked[]): SyncSource {
  const invented = Array.from({ length: random.below(MAX_INVENTED) }, () => ({
    timestamp: 1_790_100_000 + random.below(1_000),
    id: random.bytes(32),
  }))
  const idOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.slice(2), 'hex'))
  return {
    async readSnapshot(): Promise<SyncSnapshot> {
      const known = new Map(records().map(({ id, createdAt }) => [id, { timestamp: createdAt, id: idOf(id) }]))
      const some = [...known.values()].filter(() => random.chance(0.7))
      const index = createMemoryIndex([...some, ...invented])
      const size = random.chance(0.2) ? random.below(2 ** 30) : index.size()
      return {
        size: () => (random.chance(0.5) ? index.size() : size),
        sum: (begin, end) => (random.chance(0.1) ? random.bytes(32) : index.sum(begin, Math.min(end, index.size()))),
        items: (begin, end) => index.items(begin, Math.min(end, index.size())),
        lowerBound: (begin, end, at) => index.lowerBound(begin, Math.min(end, index.size()), at),
        close: async () => {},
      }
    },
    avatarSums: async (avatars) => avatars.map((avatar) => ({ avatar, count: 1, sum: random.bytes(32) })),
    held: async (ids) => ids.map(() => random.chance(0.3)),
    async signed(ids) {
      const wanted = new Set(ids.map((id) => `0x${Buffer.from(id).toString('hex')}`))
      const found = records().filter(({ id }) => wanted.has(id))
      return random.chance(0.2) ? random.shuffled(records()).slice(0, 3) : found.filter(() => random.chance(0.8))
    },
    async from() {
      const next = random.chance(0.5) ? null : { timestamp: 1_790_100_000 + random.below(1_000), id: random.bytes(32) }
      return { records: random.shuffled(records()).slice(0, 4), next }
    },
  }
}

/** Breaks a stream in one of the ways in which a peer can. */
function spoil(random: Random, stream: FrameStream): FrameStream {
  const manner = random.pick(['sound', 'sound', 'silent', 'garbage', 'cut'] as const)
  let left = random.between(0, 6)
  const isTime = (): boolean => {
    left -= 1
    return left < 0
  }
  return {
    async send(frame) {
      if (manner === 'sound' || !isTime()) return stream.send(frame)
      if (manner === 'garbage') return stream.send(random.chance(0.5) ? random.bytes(30) : flip(random, frame))
      if (manner === 'cut') stream.abort(new Error('enough'))
      // Never finishes.
      return manner === 'silent' ? undefined : stream.send(frame)
    },
    receive: () => stream.receive(),
    close: () => (manner === 'silent' ? Promise.resolve() : stream.close()),
    abort: (reason) => stream.abort(reason),
  }
}

function flip(random: Random, frame: Uint8Array): Uint8Array {
  const changed = Uint8Array.from(frame)
  const at = random.below(changed.length)
  changed[at] = (changed[at] ?? 0) ^ (1 << random.below(8))
  return changed
}
