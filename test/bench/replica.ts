import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openReplica } from '../../src/replica/index.ts'
import type { Replica } from '../../src/replica/index.ts'
import { createCluster } from '../support/cluster.ts'
import { until } from '../support/until.ts'
import { createWriter } from '../support/writer.ts'
import { drive, getRequest } from './http-load.ts'
import { median } from './report.ts'
import type { Bench } from './report.ts'

const CONTENT_BYTES = 1_024
const CONNECTIONS = 32
const HTTP_READS = 20_000
const LOCAL_READS = 2_000_000
/** The two take turns, so that both meet the same machine; the first turn of each warms up. */
const TURNS = 5
const HISTORY = 2_000

export const replica: Bench = {
  name: 'replica',
  about: `reads of one content of ${CONTENT_BYTES} bytes from a replica, beside HTTP from the node it follows, ${CONNECTIONS} connections`,
  async run() {
    const cluster = await createCluster()
    const folder = await mkdtemp(join(tmpdir(), 'avatar-kv-bench-'))
    let local: Replica | undefined
    try {
      const node = await cluster.start('replica')
      const writer = createWriter('replica')
      const other = createWriter('replica history')
      await node.api.write([writer.write({ padding: 'x'.repeat(CONTENT_BYTES) })])
      for (let sent = 0; sent < HISTORY; sent += 500) {
        await node.api.write(Array.from({ length: 500 }, (_, at) => other.write({ [`k${at % 50}`]: sent + at })))
      }
      const path = `/v2/avatars/${writer.avatar}/nextid/${writer.avatar}`
      const expected = await (await fetch(node.url + path)).text()

      const location = join(folder, 'data')
      const started = performance.now()
      local = await openReplica({ location, nodes: [node.url], avatars: [writer.avatar, other.avatar] })
      await until(async () => local?.state(other.avatar).records === HISTORY, 'all is fetched', 300_000)
      const fetched = (performance.now() - started) / 1_000
      await until(async () => local?.info(other.avatar).verifiedAt !== null, 'it is on disk')
      if (JSON.stringify(local.get(writer.avatar)) !== expected) throw new Error('They do not show the same.')

      const rates: { local: number[]; http: number[] } = { local: [], http: [] }
      const each = Array.from({ length: HTTP_READS / CONNECTIONS }, () => getRequest(path))
      for (let turn = 0; turn < TURNS; turn++) {
        rates.local.push(localRate(local, writer.avatar))
        const requests = Array.from({ length: CONNECTIONS }, () => each)
        const { seconds, bodies } = await drive(Number(new URL(node.url).port), requests)
        if (bodies.some((body) => body !== expected)) throw new Error('The node sent something else.')
        rates.http.push(bodies.length / seconds)
      }
      await local.close()
      const opening = performance.now()
      local = await openReplica({ location })
      const opened = (performance.now() - opening) / 1_000
      if (local.state(other.avatar).records !== HISTORY) throw new Error('Not all of it is on disk.')
      const [here, http] = [median(rates.local.slice(1)), median(rates.http.slice(1))]
      return [
        { measure: 'get from the replica', value: here, unit: 'reads/s' },
        { measure: 'GET of the same content from the node', value: http, unit: 'reads/s' },
        { measure: 'ratio', value: here / http, unit: 'ratio' },
        {
          measure: `${HISTORY} records fetched and verified in JavaScript`,
          value: HISTORY / fetched,
          unit: 'records/s',
        },
        { measure: `${HISTORY} records opened again from disk`, value: HISTORY / opened, unit: 'records/s' },
      ]
    } finally {
      await local?.close()
      await cluster.close()
      await rm(folder, { recursive: true })
    }
  },
}

function localRate(local: Replica, avatar: string): number {
  let characters = 0
  const start = performance.now()
  for (let turn = 0; turn < LOCAL_READS; turn++) {
    // Looked at, so that no read can be left out.
    characters += String(local.get(avatar)?.['padding'] ?? '').length
  }
  const rate = LOCAL_READS / ((performance.now() - start) / 1_000)
  if (characters !== LOCAL_READS * CONTENT_BYTES) throw new Error('Not everything was read.')
  return rate
}
