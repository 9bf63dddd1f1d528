import type { Metrics } from '../../src/observe/types.ts'

/**
 * Metrics of which only gauges are kept.
 *
 * @param broken told of every row that failed its check
 */
export function gaugesOnly(gauges: Map<string, () => number>, broken: (kind: string) => void): Metrics {
  return {
    records: () => {},
    commit: () => {},
    gossipReceived: () => {},
    gossipSent: () => {},
    http: () => {},
    answerCut: () => {},
    gauge: (name, _help, read) => {
      gauges.set(name, read)
    },
    counter: (name, _help, read) => {
      gauges.set(name, read)
    },
    counters: () => {},
    stranger: () => {},
    buildInfo: () => {},
    corruption: broken,
    expose: async () => ({ contentType: 'text/plain', text: '' }),
  }
}
