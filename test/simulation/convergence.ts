import type { SimulatedNode } from './node.ts'
import { Violation } from './violation.ts'
import type { World } from './world.ts'

/** Long enough for every node to have had a session with each of its peers. */
const ROUND_MS = 13_000
/** Virtual time within which all honest nodes hold the same once nothing goes wrong any more. */
const MAX_CONVERGENCE_MS = 600_000
const ALL = 1_000_000

/** Lets sync bring all nodes to the same records; two more rounds must then move nothing. */
export async function converge(world: World): Promise<void> {
  const limitMs = world.timeline.nowMs + MAX_CONVERGENCE_MS
  while (!(await areEqual(world))) {
    if (world.timeline.nowMs > limitMs) throw new Violation('nodes do not converge', `in ${MAX_CONVERGENCE_MS} ms`)
    await world.runFor(ROUND_MS)
  }
  // Sessions under way may still carry what has come by another way.
  await world.runFor(ROUND_MS)
  const before = world.moved()
  await world.runFor(2 * ROUND_MS)
  const moved = world.moved() - before
  if (moved > 0) throw new Violation('sync does not rest', `${moved} records moved between equal nodes`)
}

async function areEqual(world: World): Promise<boolean> {
  const standings: string[] = []
  await world.complete(async () => {
    standings.push(...(await Promise.all(world.nodes.map(standing))))
  })
  return new Set(standings).size === 1
}

/** What a node holds, in short. */
async function standing(node: SimulatedNode): Promise<string> {
  return node.call(async ({ store }) => {
    const avatars = await store.avatars({ limit: ALL })
    const sums = await store.sync.avatarSums(avatars)
    return sums.map(({ avatar, count, sum }) => `${avatar} ${count} ${Buffer.from(sum).toString('hex')}`).join('\n')
  })
}
