import { pino } from 'pino'
import { nobleEngine } from '../../src/record/engine.ts'
import { createSync } from '../../src/sync/scheduler.ts'
import { type Sync } from '../../src/sync/sync.ts'
import type { SyncLimits } from '../../src/sync/limits.ts'
import type { Scope } from '../../src/store/types.ts'
import type { FrameStream, PeerListener, SyncTransport } from '../../src/sync/types.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { streamPair, type Line, type LineOptions } from './stream-pair.ts'
import { openNode, type SyncNode } from './sync-node.ts'

/** Sessions soon after each other. Nothing stalls on a busy machine. */
const LIMITS: Partial<SyncLimits> = { intervalMs: 400, backoffMs: 100, stallMs: 60_000, openMs: 60_000, missingMs: 50 }

class MemoryTransport implements SyncTransport {
  readonly localPeer: string
  readonly configured = new Set<string>()
  readonly penalties: string[] = []
  readonly connected = new Map<string, MemoryTransport>()
  /** Streams opened by this side, in order. */
  readonly lines: { readonly to: string; readonly line: Line }[] = []
  /** What lines to some peer do. */
  readonly behaviour = new Map<string, LineOptions>()
  /** Waited for before a stream is opened. */
  gate: Promise<void> = Promise.resolve()
  listener: PeerListener | undefined

  constructor(name: string) {
    this.localPeer = name
  }

  peers(): string[] {
    return [...this.connected.keys()]
  }

  /** A name is that of a host, up to its first hyphen. */
  hostOf(peer: string): { readonly key: string } {
    return { key: peer.split('-', 1)[0] ?? peer }
  }

  isConfigured(peer: string): boolean {
    return this.configured.has(peer)
  }

  async open(peer: string): Promise<FrameStream> {
    await this.gate
    const other = this.connected.get(peer)
    if (other?.listener === undefined) throw new Error(`${peer} takes no stream`)
    const line = streamPair(this.behaviour.get(peer))
    this.lines.push({ to: peer, line })
    other.listener.stream(this.localPeer, line.streams[1])
    return line.streams[0]
  }

  listen(listener: PeerListener): () => void {
    this.listener = listener
    return () => {
      this.listener = undefined
    }
  }

  penalize(peer: string, code: string): void {
    this.penalties.push(`${peer} ${code}`)
  }

  meet(other: MemoryTransport): void {
    this.connected.set(other.localPeer, other)
    this.listener?.connected(other.localPeer)
  }

  part(other: MemoryTransport): void {
    this.connected.delete(other.localPeer)
    this.listener?.disconnected(other.localPeer)
    for (const { to, line } of this.lines) if (to === other.localPeer) line.streams[0].abort(new Error('gone'))
  }
}

export interface NetNode {
  readonly node: SyncNode
  readonly sync: Sync
  readonly transport: MemoryTransport
  readonly log: Record<string, unknown>[]
  /** Delays of the timers that the scheduler waits for, in milliseconds. */
  readonly delaysMs: () => number[]
}

/** A network in memory, whose nodes run the real scheduler. */
export class SyncNet {
  readonly #nodes: NetNode[] = []

  async add(
    name: string,
    options: { limits?: Partial<SyncLimits>; network?: string; scope?: Scope; isClosed?: () => boolean } = {},
  ): Promise<NetNode> {
    const node = await openNode(options.isClosed === undefined ? {} : { isClosed: options.isClosed })
    const transport = new MemoryTransport(name)
    const log: Record<string, unknown>[] = []
    const { limits, network = 'main', scope = 'all', isClosed } = options
    const { timers, ...environment } = systemEnvironment()
    const waiting = new Set<{ readonly delayMs: number }>()
    const after = (delayMs: number, run: () => void): (() => void) => {
      const timer = { delayMs }
      waiting.add(timer)
      const cancel = timers.after(delayMs, () => {
        waiting.delete(timer)
        run()
      })
      return () => {
        waiting.delete(timer)
        cancel()
      }
    }
    const sync = createSync(
      {
        source: node.store.sync,
        ingest: node.ingest,
        transport,
        environment: { ...environment, timers: { after }, clock: { now: () => node.clock.nowMs } },
        logger: pino({ level: 'debug' }, { write: (line: string) => void log.push(JSON.parse(line)) }),
        metrics: { gauge: () => {}, counter: () => {} },
        keccak256: nobleEngine.keccak256,
        ...(isClosed === undefined ? {} : { isClosed }),
      },
      { network, scope: () => scope, limits: { ...LIMITS, ...limits } },
    )
    const delaysMs = (): number[] => [...waiting].map(({ delayMs }) => delayMs)
    const made = { node, sync, transport, log, delaysMs }
    this.#nodes.push(made)
    sync.start()
    return made
  }

  connect(a: NetNode, b: NetNode): void {
    a.transport.meet(b.transport)
    b.transport.meet(a.transport)
  }

  disconnect(a: NetNode, b: NetNode): void {
    a.transport.part(b.transport)
    b.transport.part(a.transport)
  }

  async close(): Promise<void> {
    for (const { sync } of this.#nodes) await sync.stop()
    for (const { node } of this.#nodes.splice(0)) await node.close()
  }
}

export async function areEqual(...nodes: readonly NetNode[]): Promise<boolean> {
  const [first, ...rest] = await Promise.all(nodes.map(({ node }) => node.ids()))
  return rest.every((ids) => ids.length === first?.length && ids.every((id, at) => id === first[at]))
}
