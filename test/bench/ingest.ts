import type { SignedRecord } from '../../src/record/types.ts'
import { writeBody } from '../support/api.ts'
import { createCluster } from '../support/cluster.ts'
import { drive, postRequest } from './http-load.ts'
import { presign } from './presign.ts'
import { quantile } from './report.ts'
import type { Bench, Row } from './report.ts'
import { bindingsVerifyRate } from './verify-rate.ts'

const AVATARS = 500
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
      const records = await presign({
        name: what,
        avatars: AVATARS,
        perAvatar: perAvatar + WARM_UP_PER_AVATAR,
        payloadBytes: 460,
        keys: 10,
      })
      const cluster = await createCluster()
      try {
        const node = await cluster.start('ingest')
        const port = Number(new URL(node.url).port)
        const warmUp = AVATARS * WARM_UP_PER_AVATAR
        await drive(port, spread(records.slice(0, warmUp), connections, batch))
        const requests = spread(records.slice(warmUp), connections, batch)
        const { seconds, bodies, latencies } = await drive(port, requests)
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
