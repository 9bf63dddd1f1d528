import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

import type { Metrics } from './types.ts'

const PREFIX = 'avatar_kv_'

/** From a hit in memory to a stalled disk, or a client that waits for its timeout. */
const SECONDS_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

/** A commit has one record from a lone writer, and up to a full batch under load. */
const BATCH_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]

/** From one small record to the 1 MiB bound of a gossip message. */
const BYTES_BUCKETS = [256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576]

/**
 * The metrics of one node in a registry of its own, so that several nodes can run in one process. Names begin with
 * `avatar_kv_`; metrics of the process have the usual names of Prometheus clients (`process_…`, `nodejs_…`).
 */
export function createMetrics(): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const counter = (name: string, help: string, labelNames: string[] = []): Counter =>
    new Counter({ name: PREFIX + name, help, labelNames, registers })
  const histogram = (name: string, help: string, buckets: number[], labelNames: string[] = []): Histogram =>
    new Histogram({ name: PREFIX + name, help, buckets, labelNames, registers })

  const records = counter('records_total', 'Records submitted, by origin and result.', ['origin', 'status'])
  const commitSeconds = histogram(
    'commit_seconds',
    'Time of one durable commit of the store, fsync included.',
    SECONDS_BUCKETS,
  )
  const commitRecords = histogram('commit_records', 'Records in one durable commit of the store.', BATCH_BUCKETS)
  const gossipReceived = histogram(
    'gossip_received_seconds',
    'Time from the arrival of a gossip message to its verdict.',
    SECONDS_BUCKETS,
    ['verdict'],
  )
  const gossipSentRecords = counter('gossip_sent_records_total', 'Records sent in gossip messages.')
  const gossipSentBytes = histogram('gossip_sent_bytes', 'Size of the gossip messages sent.', BYTES_BUCKETS)
  const http = histogram(
    'http_request_duration_seconds',
    'Time of HTTP answers, by route pattern, method and status code.',
    SECONDS_BUCKETS,
    ['route', 'method', 'code'],
  )
  const answersCut = counter(
    'http_answers_cut_total',
    'HTTP answers cut off because their reader was too slow, by reason.',
    ['reason'],
  )
  const strangers = counter(
    'strangers_total',
    'Requests and messages of strangers that were cut off, malformed, too slow or over a limit, by part and kind.',
    ['part', 'kind'],
  )
  const corruption = counter(
    'corruption_total',
    'Damage found in the store: rows that failed their check on read, by kind of row, and files (`log`, `table`).',
    ['kind'],
  )

  /** A counter whose values are read when metrics are scraped. */
  function scraped(name: string, help: string, labelNames: string[], add: (to: Counter) => void): void {
    const each: Counter = new Counter({
      name: fullName(name),
      help,
      labelNames,
      registers,
      collect() {
        each.reset()
        add(each)
      },
    })
  }

  return {
    records: (origin, status, count) => records.inc({ origin, status }, count),
    commit(seconds, count) {
      commitSeconds.observe(seconds)
      commitRecords.observe(count)
    },
    gossipReceived: (verdict, seconds) => gossipReceived.observe({ verdict }, seconds),
    gossipSent(count, bytes) {
      gossipSentRecords.inc(count)
      gossipSentBytes.observe(bytes)
    },
    http: (route, method, statusCode, seconds) => http.observe({ route, method, code: statusCode }, seconds),
    answerCut: (reason) => answersCut.inc({ reason }),
    stranger: (part, kind) => strangers.inc({ part, kind }),
    buildInfo(facts) {
      const labelNames = Object.keys(facts)
      new Gauge({ name: `${PREFIX}build_info`, help: 'Always 1.', labelNames, registers }).set(facts, 1)
    },
    counter: (name, help, read) => scraped(name, help, [], (each) => each.inc(read())),
    counters: (name, help, label, read) =>
      scraped(name, help, [label], (each) => {
        for (const [value, count] of read()) each.inc({ [label]: value }, count)
      }),
    gauge(name, help, read) {
      const gauge: Gauge = new Gauge({ name: fullName(name), help, registers, collect: () => gauge.set(read()) })
    },
    corruption: (kind) => corruption.inc({ kind }),
    expose: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  }
}

function fullName(name: string): string {
  return name.startsWith(PREFIX) ? name : PREFIX + name
}
