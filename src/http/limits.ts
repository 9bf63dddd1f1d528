/**
 * What one HTTP server gives to strangers at most. Every value can be set when the server is made; the defaults suit a
 * node on a small machine.
 */
export interface HttpLimits {
  /** Open TCP connections; further ones are closed at once. */
  readonly maxConnections: number
  /** From the first byte of a request to the end of its headers, in ms (against slowloris). */
  readonly headersTimeoutMs: number
  /** From the first byte of a request to the end of its body, in ms. */
  readonly requestTimeoutMs: number
  /** A connection on which nothing moves for this long is closed, in ms. Longer than `heartbeatMs`. */
  readonly idleTimeoutMs: number
  /** An idle connection is kept open for the next request this long, in ms. */
  readonly keepAliveTimeoutMs: number
  /** Bytes of request bodies in memory at once, over all connections. */
  readonly maxBodyBytesInFlight: number
  /** Bytes of avatar documents kept ready to be sent. */
  readonly cacheBytes: number
  /** Open event streams in all. */
  readonly maxSubscribers: number
  /** Open event streams of one address. */
  readonly maxSubscribersPerAddress: number
  /** Unsent bytes of one event stream from which on it is fed from the store, at the pace of its reader. */
  readonly maxBufferedBytes: number
  /** An event stream whose reader takes nothing for this long is cut, in ms. */
  readonly drainTimeoutMs: number
  /** Time between signs of life on an event stream, in ms. */
  readonly heartbeatMs: number
  /** Payloads issued to version 1 clients and remembered. */
  readonly maxIssuedPayloads: number
  /** Bytes that the remembered payloads may take. */
  readonly maxIssuedBytes: number
  /** Archives on their way out, in all and to one address. Each holds a moment of the store. */
  readonly maxExports: number
  readonly maxExportsPerAddress: number
  /** Archives on their way in, in all and from one address. */
  readonly maxImports: number
  readonly maxImportsPerAddress: number
  /** An archive may be on its way for so long, in ms; `requestTimeoutMs` is not for it. */
  readonly archiveTimeoutMs: number
  /** How long `stop` waits for answers under way before it closes their connections, in ms. */
  readonly stopGraceMs: number
}

export const DEFAULT_LIMITS: HttpLimits = {
  maxConnections: 4096,
  headersTimeoutMs: 10_000,
  // 16 MiB at 1.2 Mbit/s.
  requestTimeoutMs: 120_000,
  idleTimeoutMs: 60_000,
  // Longer than the 60 s after which common proxies close an idle upstream connection, so that they never lose that race.
  keepAliveTimeoutMs: 65_000,
  maxBodyBytesInFlight: 256 * 1024 * 1024,
  cacheBytes: 64 * 1024 * 1024,
  maxSubscribers: 1024,
  maxSubscribersPerAddress: 128,
  maxBufferedBytes: 256 * 1024,
  drainTimeoutMs: 30_000,
  heartbeatMs: 15_000,
  maxIssuedPayloads: 100_000,
  maxIssuedBytes: 32 * 1024 * 1024,
  maxExports: 8,
  maxExportsPerAddress: 4,
  maxImports: 4,
  maxImportsPerAddress: 2,
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
