import { createCluster } from '../../support/cluster.ts'
import type { NodeProcess } from '../../support/cluster.ts'
import { writeBody } from '../../support/api.ts'
import { loadNativeEngine } from '../../../src/verify/engines.ts'
import { sleep, until } from '../../support/until.ts'
import { drive, postRequest } from '../http-load.ts'
import { monotonicUs } from '../profile.ts'
import { createAuthor } from './avatar-kv.ts'
import { batchesOf, entries } from './entries.ts'
import type { Followed } from './processes.ts'

/** A time is known to this. */
const POLL_MS = 10
const TIMEOUT_MS = 180_000
/** Records of a request that is not measured. */
const FILL_BATCH = 1_000

/**
 * Lets an empty node take all from another, then follow what is written there: node processes as users run them, with default
 * options, written to over HTTP. The measured clients run in this process.
 */
export async function followedByNode(
  total: number,
  live: number,
  batch: number,
): Promise<Followed & { readonly livePresigned: number }> {
  const cluster = await createCluster()
  try {
    const first = await cluster.start('first')
    const author = createAuthor('followed', await loadNativeEngine())
    for (const part of batchesOf(entries(0, total), FILL_BATCH)) await first.api.write(part.map(author))

    const began = monotonicUs()
    const second = await cluster.start('second', { peers: [first.address] })
    const up = monotonicUs()
    const cold = await untilHolds(second, total)
    await until(async () => (await first.api.gossipPeers()) === 1, 'the nodes gossip')

    const startedLive = monotonicUs()
    for (const part of batchesOf(entries(total, live), batch)) await first.api.write(part.map(author))
    const endedLive = await untilHolds(second, total + live)

    const requests = batchesOf(entries(total + live, live), batch).map((part) =>
      postRequest('/v2/records', writeBody(part.map(author))),
    )
    const startedPresigned = monotonicUs()
    await drive(Number(new URL(first.url).port), [requests])
    const endedPresigned = await untilHolds(second, total + 2 * live)
    return {
      coldFromStart: (cold - began) / 1e6,
      coldFromUp: (cold - up) / 1e6,
      live: (endedLive - startedLive) / 1e6,
      livePresigned: (endedPresigned - startedPresigned) / 1e6,
    }
  } finally {
    await cluster.close()
  }
}

/** Resolves to the time at which a node holds that many records. */
async function untilHolds(node: NodeProcess, count: number): Promise<number> {
  const end = performance.now() + TIMEOUT_MS
  for (;;) {
    const { records } = await node.api.status()
    if (records >= count) return monotonicUs()
    if (performance.now() > end)
      throw new Error(`A node holds ${records} of ${count} records after ${TIMEOUT_MS / 1000} s.`)
    await sleep(POLL_MS)
  }
}
