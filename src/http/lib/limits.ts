import type { ShareLimits } from '../../shares/types.ts'

const MIB = 1024 * 1024
const shares = (limits: ShareLimits): ShareLimits => limits

/**
 * Limits on what strangers can use of one HTTP server. Every value can be set when the server is created; the defaults suit a
 * node on a small machine. A host is an IPv4 address or an IPv6 network of 64 bits (`hostOf`). A trusted proxy that does not
 * name its clients can use everything except the reserve, since it may carry all clients.
 */
export const DEFAULT_LIMITS = {
  /**
   * Open TCP connections. Idle ones are closed to make room. A browser opens 6 connections to a host; a busy client or a
   * carrier's NAT opens hundreds. 4,096 take about 100 MB.
   */
  connections: shares({ total: 4096, perKey: 512, reserve: 512, small: 16, replacesIdle: true }),
  /** Requests handled at the same time, event streams and archives included. */
  requests: shares({ total: 3072, perKey: 384, reserve: 384, small: 16 }),
  /** From the first byte of a request to the end of its headers (against slowloris attacks). */
  headersTimeoutMs: 10_000,
  /** From the first byte of a request to the end of its body: enough for 16 MiB at 1.2 Mbit/s. */
  requestTimeoutMs: 120_000,
  /** A connection without traffic for this long is closed. Must be longer than `heartbeatMs`. */
  idleTimeoutMs: 60_000,
  /**
   * How long an idle connection stays open for the next request. Longer than common proxies keep an idle upstream connection
   * (nginx 60 s, Traefik 90 s, Caddy 120 s): if the node closed first, a proxy could send a request on a connection that is
   * just closing.
   */
  keepAliveTimeoutMs: 130_000,
  /**
   * Bytes of request bodies in memory, over all connections. One host can send four bodies of the largest size at once; the
   * reserve has room for one each of four more hosts.
   */
  bodyBytes: shares({ total: 256 * MIB, perKey: 64 * MIB, reserve: 64 * MIB, small: 16 * MIB }),
  /** Bytes of cached avatar documents. */
  cacheBytes: 64 * MIB,
  /**
   * Bytes of answers that wait for their readers: 12 large answers to one host at once, and a quarter of its share for small
   * ones; 36 to all hosts, and 12 more for hosts that have none yet.
   */
  output: shares({ total: 192 * MIB, perKey: 64 * MIB, reserve: 48 * MIB, small: 4 * MIB }),
  /** Open event streams. */
  streams: shares({ total: 1024, perKey: 128, reserve: 128, small: 8 }),
  /** Unsent bytes of one event stream above which its events are read from the store at the pace of the reader. */
  maxBufferedBytes: 256 * 1024,
  /** Bytes of the newest events in memory, for all event streams: 12,000 events, which is 2 s of the fastest writes. */
  recentEventBytes: 4 * MIB,
  /** A stream whose reader stalls for this long is closed. */
  drainTimeoutMs: 30_000,
  /** Time between heartbeats on an event stream. */
  heartbeatMs: 15_000,
  /** Bytes of the remembered payloads that were issued to version 1 clients. */
  maxIssuedBytes: 32 * MIB,
  /** Archives being sent. Each holds a read snapshot of the store open. */
  exports: shares({ total: 8, perKey: 4, reserve: 2, small: 1 }),
  /** Archives being received. */
  imports: shares({ total: 4, perKey: 2, reserve: 1, small: 1 }),
  /**
   * Longest transfer of an archive or a streamed answer; used instead of `requestTimeoutMs`. Enough for 2 GB at 4.5 Mbit/s.
   */
  archiveTimeoutMs: 3_600_000,
  /** How long `stop` waits for unfinished answers before it closes their connections. */
  stopGraceMs: 2000,
}

export type HttpLimits = Readonly<typeof DEFAULT_LIMITS>

/** `POST /v2/records` (docs/protocol.md, "HTTP"). */
export const RECORDS_BODY_BYTES = 16 * MIB
export const RECORDS_PER_REQUEST = 1000
/** Room for one payload of 256 KiB, escaped, and the other members. */
export const V1_BODY_BYTES = MIB
/** How long an issued payload is remembered for its version 1 client (docs/protocol.md, "HTTP"). */
export const ISSUED_PAYLOAD_MS = 60 * 60 * 1000
/** `GET /v1/kv/by_identity` (docs/protocol.md, "HTTP"). */
export const BY_IDENTITY_VALUES = 100
/** An answer of `by_identity` ends early before it exceeds this. */
export const BY_IDENTITY_BYTES = 32 * MIB
export const PAGE_DEFAULT = 100
export const PAGE_MAX = 1000
/** A page of records ends early once its payloads have this size. */
export const PAGE_BYTES = 4 * MIB
/** More than an identity of 256 bytes takes with each byte written as `%XX`. */
export const PATH_SEGMENT_LENGTH = 1024
