/**
 * The options of gossipsub. Defaults of version 17 that lose messages, or that let a stranger use up memory, are replaced
 * here, each with its reason.
 */
import { createHash } from 'node:crypto'

import type { GossipsubOpts } from '@chainsafe/libp2p-gossipsub'

import { createMessageCache } from './message-cache.ts'

const MESSAGE_ID_BYTES = 20

/**
 * A longer frame ends the sender's gossip with this node, so everything that a correct node sends must fit: one message
 * (1 MiB) or the answer to a request (`ANSWER_BYTES`), and control data. It is also the most memory that a stranger can make
 * this node reserve for each connection.
 */
const MAX_FRAME_BYTES = 4_194_304

/** Half a frame: see message-cache.ts. */
const ANSWER_BYTES = 2_097_152
const ANSWER_MESSAGES = 128

/**
 * How long a repeated message is recognised by its id. Later, its records are recognised as duplicates. The default of
 * 2 minutes would remember a flood of small messages for that long.
 */
const SEEN_MS = 30_000

/** Most bytes that wait for a slow peer. Above it the stream is dropped (and opened again, see stream-repair.ts). The default has no bound. */
export const MAX_OUTBOUND_BUFFER_BYTES = 8_388_608

/** Loopback: any number of nodes may run on one machine. */
const LOOPBACK = ['127.0.0.1', '::1']

const LONGEST_SCORED_MESH_SECONDS = 300

/** The decay per second with which a count halves in the given time. */
const halvesIn = (seconds: number): number => 0.5 ** (1 / seconds)

/** The topic on which the records of a network travel. */
export function recordsTopic(network: string): string {
  return `avatar-kv/2/${network}/records/0`
}

/** First 20 bytes of SHA-256 of the data (docs/protocol.md, "Between nodes"). */
export function messageId(data: Uint8Array): Uint8Array {
  return createHash('sha256').update(data).digest().subarray(0, MESSAGE_ID_BYTES)
}

/** A stranger's message id may be megabytes long and is kept for a while; its first 20 bytes identify it. */
function messageIdText(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, Math.min(id.byteLength, MESSAGE_ID_BYTES)).toString('latin1')
}

/**
 * Options of gossipsub for one topic. Mesh degrees (6, 4 to 12) and heartbeat (1 s) are those of the specification (libp2p
 * specs, gossipsub v1.0 and v1.1); a mesh of one or two peers forwards too.
 *
 * @param reputation points of a peer, 0 or less, from outside gossip
 * @param onDuplicate called for each message that was seen before
 */
export function gossipSettings(
  topic: string,
  reputation: (peer: string) => number,
  onDuplicate: (peer: string) => void,
): Partial<GossipsubOpts> {
  const cache = createMessageCache(
    { maxBytes: 67_108_864, heartbeats: 5, advertised: 3, answerBytes: ANSWER_BYTES, answerMessages: ANSWER_MESSAGES },
    messageIdText,
    onDuplicate,
  )
  return {
    globalSignaturePolicy: 'StrictNoSign',
    allowedTopics: [topic],
    msgIdFn: (message) => messageId(message.data),
    msgIdToStrFn: messageIdText,
    // The option wants the class itself, which has a private member and is not exported.
    messageCache: cache as unknown as GossipsubOpts['messageCache'],
    emitSelf: false,
    // On by default: sending every own message to every peer, and an older protocol without scores.
    floodPublish: false,
    fallbackToFloodsub: false,
    // Peers come from the operator's configuration, not from peers that prune this node.
    doPX: false,
    seenTTL: SEEN_MS,
    // A node without peers is not an error: sync brings its records later.
    allowPublishToZeroTopicPeers: true,
    ignoreDuplicatePublishError: true,
    // Own messages are encoded once for all peers.
    batchPublish: true,
    // Keeps reading while messages are validated; validation-queue.ts bounds what waits.
    awaitRpcHandler: false,
    awaitRpcMessageHandler: false,
    maxInboundDataLength: MAX_FRAME_BYTES,
    maxOutboundBufferSize: MAX_OUTBOUND_BUFFER_BYTES,
    maxInboundStreams: 4,
    maxOutboundStreams: 4,
    // One topic costs a little over 1 KiB.
    maxTopicBytesPerPeer: 8192,
    decodeRpcLimits: {
      maxSubscriptions: 64,
      maxMessages: 2 * ANSWER_MESSAGES,
      // The most that correct nodes send by the specification.
      maxIhaveMessageIDs: 5000,
      maxIwantMessageIDs: 5000,
      maxIdontwantMessageIDs: 512,
      maxControlMessages: 512,
      maxPeerInfos: 16,
    },
    // Longer than the wait and validation of a message may take; otherwise the peer would pay for a slow disk here. Default 3 s.
    gossipsubIWantFollowupMs: 30_000,
    scoreThresholds: {
      // One fresh invalid message: no requests are answered, no mesh.
      gossipThreshold: -10,
      publishThreshold: -40,
      // Three fresh invalid messages: nothing is read from the peer until the count has decayed.
      graylistThreshold: -80,
      // Peer exchange is off.
      acceptPXThreshold: 1000,
      // Below the 8 that a good peer can have.
      opportunisticGraftThreshold: 2,
    },
    scoreParams: {
      // As much as one invalid message costs, so that good messages never outweigh it.
      topicScoreCap: 8,
      appSpecificScore: reputation,
      appSpecificWeight: 1,
      // Peers behind one address may be a company, a cluster or an attacker, so this counts late and little (32 + 9 graylist).
      IPColocationFactorWeight: -1,
      IPColocationFactorThreshold: 32,
      IPColocationFactorWhitelist: new Set(LOOPBACK),
      // Grafting too early, or not sending what was advertised, also happens under load: ten times within some seconds are
      // free, twenty graylist. The default allows none.
      behaviourPenaltyWeight: -1,
      behaviourPenaltyThreshold: 10,
      behaviourPenaltyDecay: halvesIn(10),
      decayInterval: 1000,
      decayToZero: 0.01,
      // How long scores of peers that left are kept. A new peer id costs nothing, so longer gains nothing. Default 1 h.
      retainScore: 600_000,
      topics: {
        [topic]: {
          topicWeight: 1,
          // Up to 3 for five minutes in the mesh.
          timeInMeshWeight: 3 / LONGEST_SCORED_MESH_SECONDS,
          timeInMeshQuantum: 1000,
          timeInMeshCap: LONGEST_SCORED_MESH_SECONDS,
          // Up to 5 for fifty messages that were new and good.
          firstMessageDeliveriesWeight: 0.1,
          firstMessageDeliveriesDecay: halvesIn(300),
          firstMessageDeliveriesCap: 50,
          // Off (on by default): it punishes peers of a quiet network for being quiet.
          meshMessageDeliveriesWeight: 0,
          meshMessageDeliveriesDecay: 0.5,
          meshMessageDeliveriesCap: 1,
          meshMessageDeliveriesThreshold: 0,
          meshMessageDeliveriesWindow: 0,
          meshMessageDeliveriesActivation: 3_600_000,
          meshFailurePenaltyWeight: 0,
          meshFailurePenaltyDecay: 0.5,
          // −10, −40, −90 for the first three invalid messages. Validity depends on bytes alone, so a correct node never
          // passes one on.
          invalidMessageDeliveriesWeight: -10,
          invalidMessageDeliveriesDecay: halvesIn(600),
        },
      },
    },
  }
}
