import type { RateLimits } from '../../shares/rates.ts'
import type { ShareLimits } from '../../shares/types.ts'

/**
 * Limits on what strangers can use of one HTTP server. Every value can be set when the server is created; the defaults suit a
 * node on a small machine. A host is an IPv4 address or an IPv6 network of 64 bits (`hostOf`). A trusted proxy that does not
 * name its clients can use everything except the reserve, since it may carry all clients.
 */
export interface HttpLimits {
  /** Open TCP connections. Idle ones are closed to make room. */
  readonly connections: ShareLimits
  /** Requests handled at the same time, event streams and archives included. */
  readonly requests: ShareLimits
  /** From the first byte of a request to the end of its headers (against slowloris attacks). */
  readonly headersTimeoutMs: number
  /** From the first byte of a request to the end of its body. */
  readonly requestTimeoutMs: number
  /** A connection without traffic for this long is closed. Must be longer than `heartbeatMs`. */
  readonly idleTimeoutMs: number
  /** How long an idle connection stays open for the next request. */
  readonly keepAliveTimeoutMs: number
  /** Bytes of request bodies in memory, over all connections. */
  readonly bodyBytes: ShareLimits
  /** Bytes of cached avatar documents. */
  readonly cacheBytes: number
  /** Bytes of answers that wait for their readers. */
  readonly output: ShareLimits
  /** Open event streams. */
  readonly streams: ShareLimits
  /** Unsent bytes of one event stream above which its events are read from the store at the pace of the reader. */
  readonly maxBufferedBytes: number
  /** A stream whose reader stalls for this long is closed. */
  readonly drainTimeoutMs: number
  /** Time between heartbeats on an event stream. */
  readonly heartbeatMs: number
  /** Remembered payloads that were issued to version 1 clients. */
  readonly maxIssuedPayloads: number
  /** Bytes of remembered payloads. */
  readonly maxIssuedBytes: number
  /** Rate of signing receipts. */
  readonly receipts: RateLimits
  /** Archives being sent. Each holds a read snapshot of the store open. */
  readonly exports: ShareLimits
  /** Archives being received. */
  readonly imports: ShareLimits
  /** Longest transfer of an archive or a streamed answer; used instead of `requestTimeoutMs`. */
  readonly archiveTimeoutMs: number
  /** How long `stop` waits for unfinished answers before it closes their connections. */
  readonly stopGraceMs: number
}

const MIB = 1024 * 1024

export const DEFAULT_LIMITS: HttpLimits = {
  // A browser opens 6 connections to a host; a busy client or a carrier's NAT opens hundreds. 4,096 take about 100 MB.
  connections: { total: 4096, perKey: 512, reserve: 512, small: 16, replacesIdle: true },
  requests: { total: 3072, perKey: 384, reserve: 384, small: 16 },
  headersTimeoutMs: 10_000,
  // Enough for 16 MiB at 1.2 Mbit/s.
  requestTimeoutMs: 120_000,
  idleTimeoutMs: 60_000,
  // Longer than the 60 s after which common proxies close an idle upstream connection. If the node closed first, a proxy could
  // send a request on a connection that is just closing.
  keepAliveTimeoutMs: 65_000,
  // One host can send four bodies of the largest size at once; the reserve has room for one each of four more hosts.
  bodyBytes: { total: 256 * MIB, perKey: 64 * MIB, reserve: 64 * MIB, small: 16 * MIB },
  cacheBytes: 64 * 1024 * 1024,
  // 12 large answers to one host at once, and a quarter of its share for small ones; 36 to all hosts, and 12 more for hosts
  // that have none yet.
  output: { total: 192 * MIB, perKey: 64 * MIB, reserve: 48 * MIB, small: 4 * MIB },
  streams: { total: 1024, perKey: 128, reserve: 128, small: 8 },
  maxBufferedBytes: 256 * 1024,
  drainTimeoutMs: 30_000,
  heartbeatMs: 15_000,
  maxIssuedPayloads: 100_000,
  maxIssuedBytes: 32 * 1024 * 1024,
  // A signature takes 90 µs of CPU: one host can use 4.5 % of a core, all hosts together 18 %.
  receipts: { perKey: { burst: 2000, refillMs: 2 }, total: { burst: 8000, refillMs: 0.5 }, reserve: 2000 },
  exports: { total: 8, perKey: 4, reserve: 2, small: 1 },
  imports: { total: 4, perKey: 2, reserve: 1, small: 1 },
  // Enough for 2 GB at 4.5 Mbit/s.
  archiveTimeoutMs: 3_600_000,
  stopGraceMs: 2000,
}

/** `POST /v2/records` (docs/protocol.md, "HTTP"). */
export const RECORDS_BODY_BYTES = 16 * 1024 * 1024
export const RECORDS_PER_REQUEST = 1000
/** Room for one payload of 256 KiB, escaped, and the other members. */
export const V1_BODY_BYTES = 1024 * 1024
/** How long an issued payload is remembered for its version 1 client (docs/protocol.md, "HTTP"). */
export const ISSUED_PAYLOAD_MS = 60 * 60 * 1000
/** `GET /v1/kv/by_identity` (docs/protocol.md, "HTTP"). */
export const BY_IDENTITY_VALUES = 100
/** An answer of `by_identity` ends early before it exceeds this. */
export const BY_IDENTITY_BYTES = 32 * 1024 * 1024
export const PAGE_DEFAULT = 100
export const PAGE_MAX = 1000
/** A page of records ends early once its payloads have this size. */
export const PAGE_BYTES = 4 * 1024 * 1024
/** More than an identity of 256 bytes takes with each byte written as `%XX`. */
export const PATH_SEGMENT_LENGTH = 1024
