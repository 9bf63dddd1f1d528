import type { Logger as PinoLogger } from 'pino'

/** Structured log: `log.info({ peer }, 'connected')`. Children are made with `log.child({ part: 'network' })`. */
export type Logger = PinoLogger

export type GossipVerdict = 'accept' | 'ignore' | 'reject'

/** The metrics that the parts report; `observe/metrics.ts` collects them for `GET /metrics`. Durations are in seconds. */
export interface Metrics {
  /** Counts records by origin (`http`, `gossip`, …) and result (`stored`, `invalid`, …). */
  records(origin: string, status: string, count: number): void
  /** One durable commit. */
  commit(seconds: number, records: number): void
  /** One gossip message validated. */
  gossipReceived(verdict: GossipVerdict, seconds: number): void
  /** One gossip message sent. */
  gossipSent(records: number, bytes: number): void
  /** One HTTP answer; `route` is the pattern, not the address. */
  http(route: string, method: string, statusCode: number, seconds: number): void
  /**
   * An answer that was cut off because its reader stalled, took too long, or was too slow while others needed its place
   * (`made_room`), or because a member did not fit into the memory for answers (`too_large`).
   */
  answerCut(reason: 'stalled' | 'too_long' | 'made_room' | 'too_large'): void
  /**
   * Something that a stranger caused: an aborted request, bytes that are not HTTP, a limit reached, a broken rule of a protocol.
   *
   * @param kind from a closed set of the reporting part, such as `body_aborted`
   */
  stranger(part: 'http' | 'network' | 'sync' | 'find' | 'follow', kind: string): void
  /** The constant facts of this build, as labels of `avatar_kv_build_info`. */
  buildInfo(facts: Readonly<Record<string, string>>): void
  /** A value that rises and falls, read when metrics are scraped. */
  gauge(name: string, help: string, read: () => number): void
  /** A count since the start, read when metrics are scraped. Its name ends in `_total`. */
  counter(name: string, help: string, read: () => number): void
  /** Counts by the values of one label. */
  counters(name: string, help: string, label: string, read: () => ReadonlyMap<string, number>): void
  /** Counts damage: rows that failed their check on read, and files (`log`, `table`) of the store. */
  corruption(kind: string): void
  /** The Prometheus text exposition. */
  expose(): Promise<{ contentType: string; text: string }>
}
