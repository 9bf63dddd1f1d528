import type { RecordBody } from '../../src/record/types.ts'
import { basesOf, disagreement, neighbours } from './agreement.ts'
import { wrongHealth } from './health.ts'
import type { SimulatedNode } from './node.ts'
import { Violation } from './violation.ts'
import type { World } from './world-types.ts'

/** Long enough for every node to have had a session with each of its peers. */
const ROUND_MS = 13_000
/**
 * Virtual time within which all honest nodes hold what they should once nothing goes wrong any more. What a full node
 * refused it asks for again after ten minutes at most (src/sync/refusals.ts).
 */
const MAX_CONVERGENCE_MS = 900_000
/**
 * Virtual time within which nodes that agree say so. What a peer claimed and did not deliver, because its operator let an
 * avatar go meanwhile, is asked for again after one minute, and after two and four more (src/sync/refusals.ts): the session
 * before that calls it different, rightly.
 */
const MAX_DOUBT_MS = 450_000
/**
 * Times that a full node may be offered again, in two rounds, what it refused: before its time is over, when it asks for it
 * itself, and by a neighbour that was told to come back in the meantime.
 */
const OFFERED_AGAIN = 3
/** Times that a neighbour may send what a node does not want. */
const UNWANTED = 2

/**
 * Times that a node may take, in two rounds, what a snapshot has superseded there: as long as the row is still there, a need
 * of it is put off for a minute; after that it is asked for, and then known to be superseded.
 */
const SUPERSEDED = 1

/** Lets sync bring all nodes to the records that they should hold; two more rounds must then move nothing. */
export async function converge(world: World): Promise<void> {
  const limitMs = world.timeline.nowMs + MAX_CONVERGENCE_MS
  world.transfers.restart()
  for (let wrong = await difference(world); wrong !== undefined; wrong = await difference(world)) {
    if (world.timeline.nowMs > limitMs) throw new Violation('nodes do not converge', wrong)
    await world.runFor(ROUND_MS)
  }
  const doubtMs = world.timeline.nowMs + MAX_DOUBT_MS
  while (wrongHealth(world) !== undefined && world.timeline.nowMs < doubtMs) await world.runFor(ROUND_MS)
  // Sessions under way may still carry what has come by another way.
  await world.runFor(ROUND_MS)
  checkTransfers(world, [1, Infinity], 'sync carries a record twice')
  world.transfers.restart()
  await world.runFor(2 * ROUND_MS)
  await world.complete(async () => {
    const bases = await basesOf(world)
    const isSuperseded: Judge = (node, { avatar, counter }) => counter < (bases.get(node)?.get(avatar) ?? 0)
    checkTransfers(world, [0, OFFERED_AGAIN], 'sync does not rest', isSuperseded)
  })
}

type Judge = (node: SimulatedNode, body: RecordBody) => boolean

async function difference(world: World): Promise<string | undefined> {
  let found: string | undefined
  await world.complete(async () => {
    found = await disagreement(world)
  })
  return found
}

/**
 * Checks how often records went from one node to another.
 *
 * @param most times to a node that takes all, and to one that may be full
 */
function checkTransfers(
  world: World,
  [most, mostToFull]: readonly [number, number],
  invariant: string,
  isSuperseded: Judge = () => false,
): void {
  for (const pair of neighbours(world)) {
    for (const [from, to] of [pair, [...pair].reverse() as typeof pair]) {
      for (const [id, times] of world.transfers.between(from.number, to.number)) {
        const body = world.ledger.record(id)?.body
        const isWanted = body === undefined || to.keeps(body.avatar)
        if (!isWanted && to.policy.listed !== null) {
          throw new Violation('sync carries what is not on a list', `${id} from ${from.name} to ${to.name}`)
        }
        // What a node without a list does not want shows when it has asked for it, and when it was offered it, once each.
        const unwanted = times + world.transfers.before(from.number, to.number, id)
        const mostHere = body !== undefined && isSuperseded(to, body) ? Math.max(most, SUPERSEDED) : most
        if (isWanted ? times <= (to.isLimited ? mostToFull : mostHere) : unwanted <= UNWANTED) continue
        throw new Violation(invariant, `${id} ${times} times from ${from.name} to ${to.name}`)
      }
    }
  }
}
