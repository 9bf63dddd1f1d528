import type { SignedRecord } from '../../src/record/types.ts'
import { writeBody } from '../support/api.ts'
import { createCluster } from '../support/cluster.ts'
import { drive, postRequest } from './http-load.ts'
import { presign } from './presign.ts'
import { quantile } from './report.ts'
import type { Bench, Row } from './report.ts'
import { bindingsVerifyRate } from './verify-rate.ts'

export const AVATARS = 500
const WARM_UP_PER_AVATAR = 4
const SHAPES = [
  { what: 'single', batch: 1, connections: 64, perAvatar: 40 },
  { what: 'batches of 64', batch: 64, connections: 8, perAvatar: 100 },
]

export const ingest: Bench = {
  name: 'ingest',
  about: `records of 460 bytes of ${AVATARS} avatars by HTTP into one node: verified, fsynced, visible`,
  async run() {
    const rows: Row[] = []
    const verifyRate = await bindingsVerifyRate()
    rows.push({ measure: 'libsecp256k1 verifies, one thread, same run', value: verifyRate, unit: 'records/s' })
    for (const { what, batch, connections, perAvatar } of SHAPES) {
      const { warmUp, measured } = await ingestRequests({ name: what, batch, connections, perAvatar })
      const cluster = await createCluster()
      try {
        const node = await cluster.start('ingest')
        const port = Number(new URL(node.url).port)
        await drive(port, warmUp)
        const { seconds, bodies, latencies } = await drive(port, measured)
        const stored = bodies.reduce((sum, body) => sum + body.split('"status":"stored"').length - 1, 0)
        if (stored !== AVATARS * perAvatar) throw new Error(`Only ${stored} of ${AVATARS * perAvatar} were stored.`)
        const rate = stored / seconds
        rows.push(
          { measure: `${what}, ${connections} connections`, value: rate, unit: 'records/s' },
          { measure: `${what}: ratio to the verify rate`, value: rate / verifyRate, unit: 'ratio' },
          { measure: `${what}: acknowledged after, p50`, value: quantile(latencies, 0.5), unit: 'ms' },
          { measure: `${what}: acknowledged after, p99`, value: quantile(latencies, 0.99), unit: 'ms' },
        )
      } finally {
        await cluster.close()
      }
    }
    return rows
  },
}

export interface IngestSpec {
  readonly name: string
  /** Records a request. */
  readonly batch: number
  readonly connections: number
  readonly perAvatar: number
}

/** Ready requests, a list a connection: some to warm a node up, then the ones to measure, `AVATARS * perAvatar` records. */
export async function ingestRequests(spec: IngestSpec): Promise<{ warmUp: Buffer[][]; measured: Buffer[][] }> {
  const { name, batch, connections } = spec
  const perAvatar = spec.perAvatar + WARM_UP_PER_AVATAR
  const records = await presign({ name, avatars: AVATARS, perAvatar, payloadBytes: 460, keys: 10 })
  const warmUp = AVATARS * WARM_UP_PER_AVATAR
  return {
    warmUp: spread(records.slice(0, warmUp), connections, batch),
    measured: spread(records.slice(warmUp), connections, batch),
  }
}

/** Gives each connection the records of its own avatars, in their order, as ready requests. */
function spread(records: readonly SignedRecord[], connections: number, batch: number): Buffer[][] {
  return Array.from({ length: connections }, (_, connection) => {
    const own = records.filter((_record, index) => (index % AVATARS) % connections === connection)
    const requests: Buffer[] = []
    for (let start = 0; start < own.length; start += batch) {
      requests.push(postRequest('/v2/records', writeBody(own.slice(start, start + batch))))
    }
    return requests
  })
}
