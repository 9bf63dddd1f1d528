/** Bounds of a node that anyone may connect to. The bounds of gossipsub itself are in gossip-settings.ts. */
import type { AddressBookLimits } from './address-book.ts'
import type { DialBackLimits } from './dial-back.ts'
import { MAX_OUTBOUND_BUFFER_BYTES } from './gossip-settings.ts'
import type { InterfaceWatchLimits } from './interface-watch.ts'
import type { LocalNetworkLimits } from './local-network.ts'
import type { KeeperLimits } from './keeper.ts'
import type { MessageRateLimits } from './message-rate.ts'
import type { OutboxLimits } from './outbox.ts'
import type { PacerLimits } from './pacer.ts'
import type { OutsideViewLimits } from './outside-view.ts'
import type { PeerExchangeLimits } from './peer-exchange.ts'
import type { PeerPlaceLimits } from './peer-places.ts'
import type { PortForwardingLimits } from './port-forwarding.ts'
import type { ProberLimits } from './prober.ts'
import type { SeedLimits } from './seed-dialler.ts'
import type { ValidationLimits } from './validation-queue.ts'
import type { WebSocketLimits } from './websocket-listener.ts'

/** TCP connections to a WebSocket address that have not sent their request, and its headers. Afterwards peer-places.ts bounds them. */
const WEBSOCKET_LIMITS: WebSocketLimits = {
  waiting: { total: 256, perKey: 16, reserve: 64, small: 2, replacesIdle: true },
  headersMs: 5000,
}

/** Greatest window of a stream: 10 MB/s at 100 ms. A paused stream holds that much, so it stays below the read buffer. */
const MAX_STREAM_WINDOW_BYTES = 1_048_576
const MAX_STREAM_READ_BYTES = 4_194_304

export const CONNECTION_LIMITS = {
  manager: {
    // peer-places.ts bounds connections by host; the bounds of libp2p would let one host take all.
    maxConnections: Number.MAX_SAFE_INTEGER,
    maxIncomingPendingConnections: Number.MAX_SAFE_INTEGER,
    inboundConnectionThreshold: Number.MAX_SAFE_INTEGER,
    inboundUpgradeTimeout: 5000,
    // Only redial.ts dials configured peers.
    reconnectRetries: 0,
    maxParallelDials: 16,
    maxDialQueueLength: 256,
    connectionCloseTimeout: 500,
  },
  webSockets: WEBSOCKET_LIMITS,
  // A peer that answers no ping is gone. The first timeouts are far above the default (2 s), because a busy machine is slow.
  monitor: { pingInterval: 15_000, pingTimeout: { minTimeout: 20_000, maxTimeout: 60_000 } },
  yamux: {
    // A peer needs 10: identify, gossip, peer exchange, a request to dial back, and 2 each for sync, find and follow. The others are for streams that are still
    // ending or being agreed on; each may hold a window of 256 KiB.
    maxInboundStreams: 12,
    maxOutboundStreams: 12,
    streamOptions: {
      maxStreamWindowSize: MAX_STREAM_WINDOW_BYTES,
      maxReadBufferLength: MAX_STREAM_READ_BYTES,
      maxWriteBufferLength: MAX_OUTBOUND_BUFFER_BYTES,
    },
  },
}

/**
 * Bounds of how a node finds peers. By itself it opens at most 31 connections: 8 of the keeper's choice, or, while it has fewer than
 * 8, 8 to seeds beside 7 others; and 16 on the local network.
 */
export interface DiscoveryLimits {
  readonly book: AddressBookLimits
  readonly exchange: PeerExchangeLimits
  readonly prober: ProberLimits
  readonly keeper: KeeperLimits
  readonly seeds: SeedLimits
  readonly local: LocalNetworkLimits
  /** How often a peer is asked for peers, in milliseconds: when this node has enough, and when it needs some. */
  readonly askMs: number
  readonly askWhenShortMs: number
  /** How often the address book is saved, if it changed; milliseconds. */
  readonly saveMs: number
}

export interface NetworkLimits {
  readonly places: PeerPlaceLimits
  readonly discovery: DiscoveryLimits
  readonly dialBack: DialBackLimits
  readonly outside: OutsideViewLimits
  readonly forwarding: PortForwardingLimits
  readonly interfaces: InterfaceWatchLimits
  /** Interval of the search for lost gossip streams, in milliseconds. */
  readonly repairIntervalMs: number
  readonly outbox: OutboxLimits
  readonly validation: ValidationLimits
  readonly pacer: PacerLimits
  readonly messageRate: MessageRateLimits
  /** Messages whose deliverers are remembered, about 400 bytes each. */
  readonly rememberedMessages: number
}

export const defaultNetworkLimits: NetworkLimits = {
  places: {
    arrivals: { perKey: { burst: 16, refillMs: 125 }, total: { burst: 256, refillMs: 16 }, reserve: 64 },
    // Each lasts 5 s at most.
    handshakes: { total: 256, perKey: 16, reserve: 64, small: 2, replacesIdle: true },
    // Every connection may hold a frame that is being gathered (4 MiB) and what waits for it (8 MiB at most, if it is slow).
    strangers: { total: 128, perKey: 32, reserve: 32, small: 2 },
    handshakesPerSite: 128,
    // Half: no network keeps others out, and a community in one network may still use the node.
    strangersPerSite: 64,
    // Two if both sides dialled at once, and one that broke and has not ended yet.
    connectionsPerPeer: 3,
    // Identify is one round trip, after three of the handshake.
    proveMs: 20_000,
  },
  discovery: {
    book: {
      heard: 512,
      tried: 512,
      perSite: 8,
      perTeller: 64,
      freshMs: 86_400_000,
      retryMs: 10_000,
      longestRetryMs: 3_600_000,
      heardFailures: 2,
      triedFailures: 16,
    },
    exchange: {
      records: 32,
      answers: { perKey: { burst: 16, refillMs: 5000 }, total: { burst: 128, refillMs: 50 }, reserve: 32 },
      perPeerMs: 5000,
      timeoutMs: 10_000,
    },
    prober: {
      dials: { perKey: { burst: 4, refillMs: 15_000 }, total: { burst: 64, refillMs: 250 }, reserve: 16 },
      timeoutMs: 5000,
    },
    keeper: {
      outgoing: 8,
      perProvider: 2,
      tickMs: 1000,
      parallel: 4,
      dialTimeoutMs: 10_000,
      stableMs: 10_000,
      noteMs: 600_000,
    },
    local: {
      intervalMs: 10_000,
      connections: 16,
      dials: { perKey: { burst: 4, refillMs: 15_000 }, total: { burst: 32, refillMs: 1000 }, reserve: 8 },
      dialTimeoutMs: 5000,
    },
    seeds: { retryMs: 5000, longestRetryMs: 300_000, dialTimeoutMs: 10_000, connections: 8 },
    // Above the interval in which a peer answers (exchange.perPeerMs).
    askWhenShortMs: 10_000,
    askMs: 300_000,
    saveMs: 60_000,
  },
  dialBack: {
    answers: { perKey: { burst: 4, refillMs: 15_000 }, total: { burst: 32, refillMs: 500 }, reserve: 8 },
    timeoutMs: 15_000,
  },
  // A port that was just forwarded is noticed within a minute.
  outside: { tickMs: 1000, openAgainMs: 600_000, closedAgainMs: 45_000, noneAgainMs: 10_000, validMs: 1_800_000 },
  // Half of the time for which a router forwards (router.ts).
  forwarding: { everyMs: 1_800_000, retryMs: 300_000 },
  interfaces: { everyMs: 15_000, answerMs: 10_000 },
  repairIntervalMs: 5000,
  outbox: { messageBytes: 262_144, messageRecords: 1024, delayMs: 5, queueBytes: 67_108_864 },
  // A node sends at most 200 messages a second that are not full (outbox.delayMs), and passes on those of others.
  messageRate: { burst: 10_000, refillMs: 1, longestPauseMs: 10_000 },
  rememberedMessages: 65_536,
  pacer: { aboveBytes: 1_048_576, messageMs: 250, patienceMs: 3000 },
  validation: {
    running: 64,
    runningPerPeer: 16,
    timeoutMs: 15_000,
    pauseAboveBytes: 1_048_576,
    pauseAboveMessages: 64,
    waitingPerPeer: 1024,
    waitingBytes: 67_108_864,
  },
}
