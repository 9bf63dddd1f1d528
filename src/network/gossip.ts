import { TopicValidatorResult } from '@chainsafe/libp2p-gossipsub'
import type { GossipSub } from '@chainsafe/libp2p-gossipsub'
import type { Connection, PeerId } from '@libp2p/interface'

import type { Environment } from '../environment.ts'
import type { Ingest } from '../ingest/types.ts'
import { IngestBusyError } from '../ingest/errors.ts'
import type { GossipVerdict, Logger, Metrics } from '../observe/types.ts'
import { encodeBatch } from '../record/codec.ts'
import { MAX_BATCH_BYTES } from '../record/limits.ts'
import type { SignedRecord } from '../record/types.ts'
import { createOutbox } from './outbox.ts'
import type { OutboxLimits } from './outbox.ts'
import { createPacer } from './pacer.ts'
import type { PacerLimits } from './pacer.ts'
import { isGossipProtocol } from './stream-repair.ts'
import { createValidationQueue } from './validation-queue.ts'
import type { ValidationLimits } from './validation-queue.ts'
import { judgeMessage } from './verdict.ts'
import type { Judgement } from './verdict.ts'

const RESULTS: Readonly<Record<GossipVerdict, TopicValidatorResult>> = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject,
}

export interface GossipComponents {
  readonly service: GossipSub
  readonly connections: (peer?: PeerId) => Connection[]
  readonly ingest: Ingest
  readonly environment: Environment
  readonly logger: Logger
  readonly metrics: Metrics
  /** Called when records were not taken, or not sent, because there were too many; must not throw. */
  readonly onLoss: () => void
  /** Called when a peer has sent a message with something new; must not throw. */
  readonly onNews: (peer: string) => void
}

export interface Gossip {
  publish(records: readonly SignedRecord[]): void
  /** Peer ids of those that follow the topic. */
  subscribers(): Set<string>
  queuedBytes(): number
  droppedRecords(): number
  waitingBytes(): number
  start(): void
  /** Sends what is queued. */
  flush(): Promise<void>
  stop(): void
}

/**
 * Records in and out over the gossip topic: own ones in batches, received ones through `ingest` and on to the others only
 * once they are on disk here. Messages are forwarded by gossipsub, never published again by us.
 *
 * Not guaranteed: that a message arrives. Under overload, here or at a peer, messages are lost.
 */
export function createGossip(
  components: GossipComponents,
  topic: string,
  limits: { readonly outbox: OutboxLimits; readonly validation: ValidationLimits; readonly pacer: PacerLimits },
): Gossip {
  const { service, connections, ingest, environment, logger, metrics, onLoss } = components
  const { clock, timers } = environment
  const flow = { pause: (peer: string) => setPaused(peer, true), resume: (peer: string) => setPaused(peer, false) }
  const queue = createValidationQueue({ timers, flow }, limits.validation)
  const pacer = createPacer({ timers, streams: () => gossipStreams('outbound') }, limits.pacer)
  const outbox = createOutbox({ clock, timers, logger, send, onDrop: onLoss }, limits.outbox)

  function gossipStreams(direction: 'inbound' | 'outbound', peer?: string): Connection['streams'] {
    return connections()
      .filter((connection) => peer === undefined || connection.remotePeer.toString() === peer)
      .flatMap((connection) => connection.streams)
      .filter((stream) => stream.direction === direction && isGossipProtocol(stream.protocol))
  }

  function setPaused(peer: string, paused: boolean): void {
    for (const stream of gossipStreams('inbound', peer)) {
      if (stream.readStatus !== 'readable' && stream.readStatus !== 'paused') continue
      if (paused) stream.pause()
      else stream.resume()
    }
  }

  async function validate(peer: PeerId, data: Uint8Array): Promise<TopicValidatorResult> {
    const startMs = clock.now()
    const judgement = await judge(peer.toString(), data)
    metrics.gossipReceived(judgement.verdict, (clock.now() - startMs) / 1000)
    if (judgement.verdict === 'reject') {
      logger.debug(
        { peer: peer.toString(), reason: judgement.reason, bytes: data.byteLength },
        'gossip message rejected',
      )
    }
    if (judgement.verdict === 'accept') components.onNews(peer.toString())
    return RESULTS[judgement.verdict]
  }

  async function judge(peer: string, data: Uint8Array): Promise<Judgement> {
    try {
      const judgement = await queue.run(peer, data.byteLength, async () => {
        const result = await judgeMessage(ingest, data)
        // It is forwarded at once when this ends.
        if (result.verdict === 'accept') await pacer.pass()
        return result
      })
      if (judgement === 'timeout') logger.warn({ peer }, 'a gossip message took too long to store; ignored')
      if (typeof judgement === 'string') onLoss()
      return typeof judgement === 'string' ? { verdict: 'ignore', reason: judgement } : judgement
    } catch (error) {
      const busy = error instanceof IngestBusyError
      onLoss()
      logger[busy ? 'debug' : 'error']({ err: error, peer }, 'a gossip message could not be judged; ignored')
      return { verdict: 'ignore', reason: busy ? error.code : 'error' }
    }
  }

  async function send(records: readonly SignedRecord[]): Promise<void> {
    const data = encodeBatch(records)
    if (data.byteLength > MAX_BATCH_BYTES) {
      logger.warn({ records: records.length, bytes: data.byteLength }, 'records too large for a gossip message')
      return
    }
    await pacer.pass()
    const { recipients } = await service.publish(topic, data)
    if (recipients.length > 0) metrics.gossipSent(records.length, data.byteLength)
  }

  return {
    publish: (records) => outbox.add(records),
    subscribers: () => new Set(service.getSubscribers(topic).map((peer) => peer.toString())),
    queuedBytes: outbox.queuedBytes,
    droppedRecords: outbox.dropped,
    waitingBytes: queue.waitingBytes,
    start() {
      service.topicValidators.set(topic, (peer, { data }) =>
        // It may come as a Buffer, whose `slice` is not a copy: a trap for whoever gets the records.
        validate(peer, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
      )
      service.subscribe(topic)
    },
    flush: outbox.flush,
    // Not unsubscribed: that would keep the neighbours from taking this node back for seconds after a quick restart.
    stop: queue.stop,
  }
}
