import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { pino } from 'pino'

import type { Ingest, IngestResult } from '../../src/ingest/types.ts'
import { createNetwork } from '../../src/network/network.ts'
import type { NetworkOptions } from '../../src/network/network.ts'
import type { Network } from '../../src/network/types.ts'
import { createMetrics } from '../../src/observe/metrics.ts'
import type { Logger } from '../../src/observe/types.ts'
import type { SignedRecord } from '../../src/record/types.ts'
import type { Environment } from '../../src/platform/environment.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { until } from '../support/until.ts'

export const silent: Logger = pino({ level: process.env['TEST_LOG'] ?? 'silent' })

/** A logger that keeps its lines. */
export function recordingLogger(level = 'debug'): { logger: Logger; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = []
  const logger = pino({ level }, { write: (line: string) => void lines.push(JSON.parse(line)) })
  return { logger, lines }
}

/** What ingest says about a record is written in its payload: `<status>:<anything>`; `busy`, `throw` and `hang` as well. */
export interface TestIngest extends Ingest {
  /** Payloads submitted, in order, as text. */
  readonly payloads: string[]
  submissions: number
}

export function testIngest(busyError?: Error): TestIngest {
  const statuses: readonly string[] = ['stored', 'pending', 'duplicate', 'superseded', 'refused', 'invalid']
  return {
    payloads: [],
    submissions: 0,
    async submit(records, options) {
      this.submissions += 1
      if (options.origin !== 'gossip' || options.atomic !== true) throw new Error('gossip is submitted as a whole')
      const texts = records.map((record) => new TextDecoder().decode(record.payload))
      this.payloads.push(...texts)
      const words = texts.map((text) => text.split(':')[0] ?? '')
      if (words.includes('busy')) throw busyError ?? new Error('busy')
      if (words.includes('throw')) throw new Error('the disk is on fire')
      if (words.includes('hang')) await new Promise(() => {})
      return words.map((word): IngestResult => {
        const status = statuses.includes(word) ? (word as IngestResult['status']) : 'stored'
        return { id: null, status, ...(status === 'refused' ? { code: 'blocked', retry: false } : {}) }
      })
    },
  }
}

export function record(text: string): SignedRecord {
  return { payload: new TextEncoder().encode(text), signature: new Uint8Array(64) }
}

export interface TestNode {
  readonly network: Network
  readonly ingest: TestIngest
  readonly privateKey: PrivateKey
  readonly metrics: ReturnType<typeof createMetrics>
}

const running = new Set<{ stop(): Promise<void> }>()

/** Has `stopAll` stop something else as well. */
export function stopLater(part: { stop(): Promise<void> }): void {
  running.add(part)
}

export interface TestNodeOptions extends Partial<NetworkOptions> {
  readonly privateKey?: PrivateKey
  readonly logger?: Logger
  readonly ingest?: TestIngest
  readonly onGossipLoss?: () => void
  readonly environment?: Environment
  readonly machineAddresses?: () => readonly string[]
}

export async function startNode(options: TestNodeOptions = {}): Promise<TestNode> {
  const {
    privateKey = await generateKeyPair('Ed25519'),
    logger = silent,
    ingest = testIngest(),
    onGossipLoss,
    environment = systemEnvironment(),
    machineAddresses,
    ...rest
  } = options
  const metrics = createMetrics()
  const network = await createNetwork(
    {
      ingest,
      environment,
      logger,
      metrics,
      privateKey,
      ...(onGossipLoss === undefined ? {} : { onGossipLoss }),
      ...(machineAddresses === undefined ? {} : { machineAddresses }),
    },
    { network: 'test', listen: ['/ip4/127.0.0.1/tcp/0'], peers: [], ...rest },
  )
  await network.start()
  running.add(network)
  return { network, ingest, privateKey, metrics }
}

export async function stopNode(node: { network: Network }): Promise<void> {
  running.delete(node.network)
  await node.network.stop()
}

export async function stopAll(): Promise<void> {
  const all = [...running]
  running.clear()
  await Promise.all(all.map((part) => part.stop()))
}

/** The first address of a node, with its peer id. */
export function addressOf(node: { network: Network }): string {
  const [address] = node.network.addresses()
  if (address === undefined) throw new Error('the node does not listen')
  return address
}

/** Waits until both follow the topic by each other's account. */
export function meshed(a: TestNode, b: TestNode): Promise<void> {
  const follows = (x: TestNode, y: TestNode): boolean =>
    x.network.peers().some((peer) => peer.peer_id === y.network.peerId && peer.gossip)
  return until(() => follows(a, b) && follows(b, a), 'two nodes follow the topic')
}

/** How many gossip messages a node judged, by verdict; waits until there are `total`. */
export async function judged(node: TestNode, total: number): Promise<Record<string, number>> {
  let counts: Record<string, number> = {}
  await until(async () => {
    const { text } = await node.metrics.expose()
    const found = text.matchAll(/gossip_received_seconds_count\{verdict="(\w+)"\} (\d+)/g)
    counts = Object.fromEntries([...found].map(([, verdict, count]) => [verdict, Number(count)]))
    return Object.values(counts).reduce((sum, count) => sum + count, 0) >= total
  }, `${total} messages are judged`)
  return counts
}
