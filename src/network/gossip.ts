import { TopicValidatorResult } from '@chainsafe/libp2p-gossipsub'
import type { GossipSub } from '@chainsafe/libp2p-gossipsub'
import type { Connection, PeerId } from '@libp2p/interface'

import type { Environment } from '../platform/environment.ts'
import type { Ingest } from '../ingest/types.ts'
import { IngestBusyError } from '../ingest/errors.ts'
import type { GossipVerdict, Logger, Metrics } from '../observe/types.ts'
import { encodeBatch } from '../record/codec.ts'
import { MAX_BATCH_BYTES } from '../record/limits.ts'
import type { SignedRecord } from '../record/types.ts'
import { boundGossipStreams } from './gossip-streams.ts'
import type { NetworkLimits } from './limits.ts'
import { createMessageRate } from './message-rate.ts'
import { createOutbox } from './outbox.ts'
import { createPacer } from './pacer.ts'
import type { Source } from '../shares/types.ts'
import { isGossipProtocol } from './stream-repair.ts'
import { createValidationQueue } from './validation-queue.ts'
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
  /** Called when records were dropped, on the way in or out, because there were too many. Must not throw. */
  readonly onLoss: () => void
  /** Called with the number of new records that a peer's message brought. Must not throw. */
  readonly onNews: (peer: string, records: number) => void
  /** The host that a peer counts for. */
  readonly sourceOf: (peer: string) => Source
}

/** Gossipsub's notes on which peer delivered which message. */
interface Deliveries {
  readonly queue: { readonly length: number; peekAt(at: number): { expire: number } | undefined }
  readonly gc: () => void
}

/** Gossipsub keeps these notes for two minutes without a bound. Without the oldest ones, only late duplicates score less. */
function forgetOldDeliveries({ queue, gc }: Deliveries, most: number): void {
  if (queue.length <= most) return
  for (let at = 0; at < most / 8; at += 1) {
    const entry = queue.peekAt(at)
    if (entry !== undefined) entry.expire = 0
  }
  gc()
}

/**
 * Records in and out over the gossip topic. Own records leave in batches. Received records go through `ingest`, and on to other
 * peers only once they are on disk here; gossipsub forwards the message, this module never publishes it again.
 *
 * Not guaranteed: that a message arrives. Under overload, here or at a peer, messages are lost.
 */
export function createGossip(
  components: GossipComponents,
  topic: string,
  limits: Pick<NetworkLimits, 'outbox' | 'validation' | 'pacer' | 'messageRate' | 'rememberedMessages'>,
) {
  const { service, connections, ingest, environment, logger, metrics, onLoss, sourceOf } = components
  const { clock, timers } = environment
  /** Reasons for which nothing is read from a peer: its queue is long, it sends too fast. */
  const pauses = new Map<string, Set<'queue' | 'rate'>>()
  const flow = { pause: (peer: string) => pause(peer, 'queue'), resume: (peer: string) => resume(peer, 'queue') }
  const queue = createValidationQueue({ timers, flow }, limits.validation)
  const rate = createMessageRate(
    {
      clock,
      timers,
      pause(peer) {
        pause(peer, 'rate')
        return () => resume(peer, 'rate')
      },
    },
    limits.messageRate,
  )
  const pacer = createPacer({ timers, streams: () => gossipStreams('outbound') }, limits.pacer)
  // Gossipsub's class has this member; its interface does not declare it.
  const records = (service as unknown as { score: { deliveryRecords: Deliveries } }).score.deliveryRecords
  const deliveries: Deliveries = { queue: records.queue, gc: () => records.gc() }
  const outbox = createOutbox({ clock, timers, logger, send, onDrop: onLoss }, limits.outbox)
  // A peer must not evade a pause by opening another stream.
  boundGossipStreams(service, (peer, stream) => {
    if (pauses.has(peer) && stream.readStatus === 'readable') stream.pause()
  })

  function gossipStreams(direction: 'inbound' | 'outbound', peer?: string): Connection['streams'] {
    return connections()
      .filter((connection) => peer === undefined || connection.remotePeer.toString() === peer)
      .flatMap((connection) => connection.streams)
      .filter((stream) => stream.direction === direction && isGossipProtocol(stream.protocol))
  }

  function pause(peer: string, reason: 'queue' | 'rate'): void {
    pauses.set(peer, (pauses.get(peer) ?? new Set()).add(reason))
    setPaused(peer, true)
  }

  function resume(peer: string, reason: 'queue' | 'rate'): void {
    const reasons = pauses.get(peer)
    reasons?.delete(reason)
    if (reasons !== undefined && reasons.size > 0) return
    pauses.delete(peer)
    setPaused(peer, false)
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
    rate.came(peer.toString(), sourceOf(peer.toString()).key)
    forgetOldDeliveries(deliveries, limits.rememberedMessages)
    const judgement = await judge(peer.toString(), data)
    metrics.gossipReceived(judgement.verdict, (clock.now() - startMs) / 1000)
    if (judgement.verdict === 'reject') {
      logger.debug(
        { peer: peer.toString(), reason: judgement.reason, bytes: data.byteLength },
        'gossip message rejected',
      )
    }
    if (judgement.verdict === 'accept') components.onNews(peer.toString(), judgement.records)
    return RESULTS[judgement.verdict]
  }

  async function judge(peer: string, data: Uint8Array): Promise<Judgement> {
    try {
      const judgement = await queue.run(peer, data.byteLength, async () => {
        // The queue already bounds each peer, so its host may use all of ingest except the reserve.
        const result = await judgeMessage(ingest, data, { key: sourceOf(peer).key, isShared: true })
        // Gossipsub forwards the message as soon as this returns.
        if (result.verdict === 'accept') await pacer.pass()
        return result
      })
      if (judgement === 'timeout') {
        metrics.stranger('network', 'gossip_timeout')
        logger.debug({ peer }, 'a gossip message took too long to store; ignored')
      }
      if (typeof judgement === 'string') onLoss()
      return typeof judgement === 'string' ? { verdict: 'ignore', reason: judgement, records: 0 } : judgement
    } catch (error) {
      const busy = error instanceof IngestBusyError
      onLoss()
      if (!busy) metrics.stranger('network', 'gossip_failed')
      // The peer controls how often this happens, so it is `debug`. The store logs its own faults.
      logger.debug({ err: error, peer }, 'the node could not store the records of a gossip message; sync brings them')
      return { verdict: 'ignore', reason: busy ? error.code : 'error', records: 0 }
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
    publish: outbox.add,
    /** A peer sent a message that was seen before. */
    duplicate: (peer: string) => rate.came(peer, sourceOf(peer).key),
    /** Ids of the peers that subscribe to the topic. */
    subscribers: () => new Set(service.getSubscribers(topic).map((peer) => peer.toString())),
    queuedBytes: outbox.queuedBytes,
    droppedRecords: outbox.dropped,
    waitingBytes: queue.waitingBytes,
    /** Messages of which gossipsub remembers who delivered them. */
    remembered: () => deliveries.queue.length,
    start() {
      service.topicValidators.set(topic, (peer, { data }) =>
        // The data may be a Buffer, whose `slice` is not a copy; code that receives the records must not rely on that.
        validate(peer, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
      )
    },
    /** Receives the messages of the topic, or no longer. Own records are published either way. */
    join(on: boolean) {
      if (on) service.subscribe(topic)
      else service.unsubscribe(topic)
    },
    /** Sends what is queued. */
    flush: outbox.flush,
    // Do not unsubscribe: after a quick restart the neighbours would not accept this node in the mesh for some seconds.
    stop: queue.stop,
  }
}
