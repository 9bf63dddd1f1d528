import { createCluster } from '../support/cluster.ts'
import type { NodeProcess } from '../support/cluster.ts'
import { sleep, until } from '../support/until.ts'
import { presign } from './presign.ts'
import type { Bench } from './report.ts'
import { bindingsVerifyRate } from './verify-rate.ts'

const RECORDS = 100_000
const AVATARS = 500
const RECORDS_PER_POST = 1_000
const POSTS_AT_ONCE = 4
const POLL_MS = 100
const TIMEOUT_MS = 180_000
const EQUAL_SESSIONS = 4

export const syncBootstrap: Bench = {
  name: 'sync-bootstrap',
  about: `a node that holds nothing joins one that holds ${RECORDS.toLocaleString('en')} records of 460 bytes of ${AVATARS} avatars: two processes, over TCP`,
  async run() {
    const cluster = await createCluster()
    try {
      const records = await presign({
        name: 'bootstrap',
        avatars: AVATARS,
        perAvatar: RECORDS / AVATARS,
        payloadBytes: 460,
        keys: 10,
      })
      const verifyRate = await bindingsVerifyRate()
      const full = await cluster.start('full', { syncIntervalSeconds: 1 })
      let next = 0
      const post = async (): Promise<void> => {
        for (let at = next; at < RECORDS; at = next) {
          next += RECORDS_PER_POST
          await full.api.write(records.slice(at, at + RECORDS_PER_POST))
        }
      }
      await Promise.all(Array.from({ length: POSTS_AT_ONCE }, post))

      const empty = await cluster.start('empty', { peers: [full.address], syncIntervalSeconds: 1 })
      const started = performance.now()
      const firstMs = (await untilHolds(empty, 1)) - started
      const seconds = ((await untilHolds(empty, RECORDS)) - started) / 1000
      const rate = RECORDS / seconds
      const equalBytes = await bytesOfEqual(empty)
      return [
        { measure: 'libsecp256k1 verifies, one thread, same run', value: verifyRate, unit: 'records/s' },
        { measure: 'from its start to the first record', value: firstMs, unit: 'ms' },
        { measure: 'from its start to the last record', value: seconds, unit: 's' },
        { measure: 'records taken over, durable and visible', value: rate, unit: 'records/s' },
        { measure: 'ratio to the verify rate', value: rate / verifyRate, unit: 'ratio' },
        { measure: 'a session when both are equal: bytes, both ways, all frames', value: equalBytes, unit: 'bytes' },
      ]
    } finally {
      await cluster.close()
    }
  },
}

/** Bytes of one session with the only peer, once nothing differs any more: the mean of some. */
async function bytesOfEqual(node: NodeProcess): Promise<number> {
  const look = async () => {
    const sync = (await node.api.peers())[0]?.sync
    if (!sync) throw new Error('The peer is gone.')
    return { ...sync, bytes: sync.bytes_in + sync.bytes_out }
  }
  await until(async () => {
    const { last, state } = await look()
    return last?.outcome === 'equal' && last.differences === 0 && state === 'idle'
  }, 'both are equal')
  const before = await look()
  let after = before
  await until(async () => {
    after = await look()
    return after.state === 'idle' && after.sessions >= before.sessions + EQUAL_SESSIONS
  }, 'they have compared again')
  return (after.bytes - before.bytes) / (after.sessions - before.sessions)
}

/** The moment at which a node holds so many records. */
async function untilHolds(node: NodeProcess, count: number): Promise<number> {
  const deadline = performance.now() + TIMEOUT_MS
  for (;;) {
    const { records } = await node.api.status()
    const now = performance.now()
    if (records >= count) return now
    if (now > deadline) throw new Error(`It holds only ${records} of ${count} records after ${TIMEOUT_MS} ms.`)
    await sleep(POLL_MS)
  }
}
