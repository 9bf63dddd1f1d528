import { createCluster } from '../support/cluster.ts'
import { sleep, until } from '../support/until.ts'
import { createWriter } from '../support/writer.ts'
import { quantile } from './report.ts'
import type { Bench } from './report.ts'

const WARM_UP = 50
const RECORDS = 500
const PAUSE_MS = 10

export const gossip: Bench = {
  name: 'gossip',
  about: `from a write at one end of three nodes in a line to its event at the other, ${RECORDS} records, one at a time`,
  async run() {
    const cluster = await createCluster()
    const ended = new AbortController()
    try {
      const nodes = await cluster.line(3)
      const [first, , last] = nodes as [(typeof nodes)[0], unknown, (typeof nodes)[0]]
      const seen = new Map<string, number>()
      const listening = listen(last.url, seen, ended.signal)
      const writer = createWriter('gossip')
      const fromSent: number[] = []
      const fromAcknowledged: number[] = []
      for (let index = 0; index < WARM_UP + RECORDS; index++) {
        const record = writer.write({ [`key${index % 10}`]: index })
        const sent = performance.now()
        await first.api.write([record])
        const acknowledged = performance.now()
        await until(async () => seen.has(record.id), `event of record ${index}`)
        const at = seen.get(record.id) ?? Number.NaN
        if (index >= WARM_UP) {
          fromSent.push(at - sent)
          fromAcknowledged.push(at - acknowledged)
        }
        await sleep(PAUSE_MS)
      }
      ended.abort()
      await listening
      return [
        { measure: 'from request sent, p50', value: quantile(fromSent, 0.5), unit: 'ms' },
        { measure: 'from request sent, p99', value: quantile(fromSent, 0.99), unit: 'ms' },
        { measure: 'from acknowledgement, p50', value: quantile(fromAcknowledged, 0.5), unit: 'ms' },
        { measure: 'from acknowledgement, p99', value: quantile(fromAcknowledged, 0.99), unit: 'ms' },
      ]
    } finally {
      ended.abort()
      await cluster.close()
    }
  },
}

/** Notes when the events of a node name a record. */
async function listen(url: string, seen: Map<string, number>, signal: AbortSignal): Promise<void> {
  try {
    const response = await fetch(`${url}/v2/events`, { signal, headers: { accept: 'text/event-stream' } })
    if (!response.ok || !response.body) throw new Error(`GET /v2/events: ${response.status}`)
    const decoder = new TextDecoder()
    let rest = ''
    for await (const chunk of response.body) {
      const at = performance.now()
      const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const id = /^data:.*"id":"(0x[0-9a-f]{64})"/.exec(line)?.[1]
        if (id !== undefined && !seen.has(id)) seen.set(id, at)
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
