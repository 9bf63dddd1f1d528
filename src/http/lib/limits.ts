import type { RateLimits } from '../../shares/rates.ts'
import type { ShareLimits } from '../../shares/types.ts'

/**
 * What one HTTP server gives to strangers at most. Every value can be set when the server is made; the defaults suit a
 * node on a small machine. A host is an IPv4 address or an IPv6 network of 64 bits (`hostOf`). A trusted proxy that does
 * not name its clients may have all but the reserve, since it may bring everybody.
 */
export interface HttpLimits {
  /** Open TCP connections. Idle ones are closed to make room. */
  readonly connections: ShareLimits
  /** Requests handled at the same time, event streams and archives included. */
  readonly requests: ShareLimits
  /** From the first byte of a request to the end of its headers, in ms (against slowloris). */
  readonly headersTimeoutMs: number
  /** From the first byte of a request to the end of its body, in ms. */
  readonly requestTimeoutMs: number
  /** A connection on which nothing moves for this long is closed, in ms. Longer than `heartbeatMs`. */
  readonly idleTimeoutMs: number
  /** An idle connection is kept open for the next request this long, in ms. */
  readonly keepAliveTimeoutMs: number
  /** Bytes of request bodies in memory at once, over all connections. */
  readonly bodyBytes: ShareLimits
  /** Bytes of avatar documents kept ready to be sent. */
  readonly cacheBytes: number
  /** Bytes of answers that wait for their readers. */
  readonly output: ShareLimits
  /** Open event streams. */
  readonly streams: ShareLimits
  /** Unsent bytes of one event stream from which on it is fed from the store, at the pace of its reader. */
  readonly maxBufferedBytes: number
  /** A stream whose reader takes nothing for this long is cut, in ms. */
  readonly drainTimeoutMs: number
  /** Time between signs of life on an event stream, in ms. */
  readonly heartbeatMs: number
  /** Payloads issued to version 1 clients and remembered. */
  readonly maxIssuedPayloads: number
  /** Bytes that the remembered payloads may take. */
  readonly maxIssuedBytes: number
  /** Receipts that are signed. */
  readonly receipts: RateLimits
  /** Archives on their way out. Each holds a snapshot of the store open. */
  readonly exports: ShareLimits
  /** Archives on their way in. */
  readonly imports: ShareLimits
  /** An archive or a streamed answer may be on its way for so long, in ms; `requestTimeoutMs` is not for it. */
  readonly archiveTimeoutMs: number
  /** How long `stop` waits for answers under way before it closes their connections, in ms. */
  readonly stopGraceMs: number
}

const MIB = 1024 * 1024

export const DEFAULT_LIMITS: HttpLimits = {
  // A browser opens 6 to a host, a busy client or a carrier's NAT some hundreds. 4,096 take about 100 MB.
  connections: { total: 4096, perKey: 512, reserve: 512, small: 16, replacesIdle: true },
  requests: { total: 3072, perKey: 384, reserve: 384, small: 16 },
  headersTimeoutMs: 10_000,
  // 16 MiB at 1.2 Mbit/s.
  requestTimeoutMs: 120_000,
  idleTimeoutMs: 60_000,
  // Longer than the 60 s after which common proxies close an idle upstream connection, so that they never lose that race.
  keepAliveTimeoutMs: 65_000,
  // A host may send four of the largest bodies at once; four hosts more find room for one each.
  bodyBytes: { total: 256 * MIB, perKey: 64 * MIB, reserve: 64 * MIB, small: 16 * MIB },
  cacheBytes: 64 * 1024 * 1024,
  // 12 large answers of one host at once, and a quarter of its share for small ones; 36 of all hosts, and 12 more for
  // hosts that have none yet.
  output: { total: 192 * MIB, perKey: 64 * MIB, reserve: 48 * MIB, small: 4 * MIB },
  streams: { total: 1024, perKey: 128, reserve: 128, small: 8 },
  maxBufferedBytes: 256 * 1024,
  drainTimeoutMs: 30_000,
  heartbeatMs: 15_000,
  maxIssuedPayloads: 100_000,
  maxIssuedBytes: 32 * 1024 * 1024,
  // A signature takes 90 µs of CPU: a host gets 4.5 % of a core, all together 18 %.
  receipts: { perKey: { burst: 2000, refillMs: 2 }, total: { burst: 8000, refillMs: 0.5 }, reserve: 2000 },
  exports: { total: 8, perKey: 4, reserve: 2, small: 1 },
  imports: { total: 4, perKey: 2, reserve: 1, small: 1 },
  // 2 GB at 4.5 Mbit/s.
  archiveTimeoutMs: 3_600_000,
  stopGraceMs: 2000,
}

/** `POST /v2/records` (docs/protocol.md, "HTTP"). */
export const RECORDS_BODY_BYTES = 16 * 1024 * 1024
export const RECORDS_PER_REQUEST = 1000
/** One payload of 256 KiB, escaped, and the few other members. */
export const V1_BODY_BYTES = 1024 * 1024
/** A version 1 client remembers what it asked to sign for no longer than this (docs/protocol.md, "HTTP"). */
export const ISSUED_PAYLOAD_MS = 60 * 60 * 1000
/** `GET /v1/kv/by_identity` (docs/protocol.md, "HTTP"). */
export const BY_IDENTITY_VALUES = 100
/** An answer of `by_identity` ends early rather than grow beyond this. */
export const BY_IDENTITY_BYTES = 32 * 1024 * 1024
export const PAGE_DEFAULT = 100
export const PAGE_MAX = 1000
/** A page of records ends early once its payloads take this much. */
export const PAGE_BYTES = 4 * 1024 * 1024
/** A path segment holds an identity of 256 bytes, each as `%XX`, and more than that. */
export const PATH_SEGMENT_LENGTH = 1024
