import { WANTED_STREAMS } from '../../src/follow/limits.ts'
import type { RecordId } from '../../src/record/types.ts'
import { viewOf } from '../store/read-whole.ts'
import { neighbours } from './agreement.ts'
import type { SimulatedNode } from './node.ts'
import { Violation } from './violation.ts'
import type { World, Writes } from './world-types.ts'

/** Long enough for a sync, and for a doubt of the peers that did not send what it brought. */
const ROUND_MS = 30_000
/** Until a peer with which no comparison ends owes records. */
const DECEIVED_ROUNDS = 6
/** Long enough for a stream. */
const LIVE_MS = 3_000

/** A node that must get records of an author as they are written at another node. */
interface Line {
  readonly author: Writes
  readonly from: SimulatedNode
  readonly to: SimulatedNode
}

/**
 * Checks that nodes with a list get records as they are written: with sync switched off, from each neighbour that they must
 * follow. Call it last.
 */
export async function checkLive(world: World): Promise<void> {
  const lines = linesOf(world)
  if (lines.length === 0) return
  // What they write while sync runs shows who sends nothing.
  for (let round = world.scenario.deceived === null ? DECEIVED_ROUNDS - 1 : 0; round < DECEIVED_ROUNDS; round += 1) {
    for (const line of lines) await write(world, line)
    await world.runFor(ROUND_MS)
  }
  for (const { process } of world.nodes) if (process !== undefined) await world.complete(() => process.sync.stop())
  for (const line of lines) {
    const id = await write(world, line)
    await world.runFor(LIVE_MS)
    if (id !== undefined && !(await holds(world, line.to, id))) {
      const what = `${line.to.name} did not get ${id} of ${line.author.avatar}, written at ${line.from.name}`
      throw new Violation('a listed node does not hear of a record', what)
    }
  }
}

/** Each listed node with its neighbours, where they are so few that it follows all of them. */
function linesOf(world: World): Line[] {
  const pairs = neighbours(world).flatMap(([one, other]): [SimulatedNode, SimulatedNode][] => [
    [one, other],
    [other, one],
  ])
  return world.nodes.flatMap((to) =>
    world.authors.flatMap((author) => {
      if (to.policy.listed === null || !isAble(to) || !to.keeps(author.avatar)) return []
      const sources = pairs.flatMap(([from, of]) => (of === to && from.keeps(author.avatar) ? [from] : []))
      if (sources.length > WANTED_STREAMS) return []
      return sources.filter(isAble).map((from): Line => ({ author, from, to }))
    }),
  )
}

/** Whether a node takes every record, and passes on every record that it takes. */
function isAble(node: SimulatedNode): boolean {
  return !node.isLimited && !node.wasDamaged
}

/** Writes a record; undefined if the node does not take it, because of what a thief of the key wrote. */
async function write(world: World, { author, from }: Line): Promise<RecordId | undefined> {
  let written: RecordId | undefined
  await world.complete(async () => {
    const view = await from.call(({ store }) => viewOf(store, author.avatar))
    const record = author.patch(view?.summary.tips ?? [])
    const [result] = await from.submit([record], 'http')
    if (result?.status === 'stored') written = record.id
  })
  return written
}

async function holds(world: World, node: SimulatedNode, id: RecordId): Promise<boolean> {
  let isHeld = false
  await world.complete(async () => {
    isHeld = (await node.call(({ store }) => store.record(id))) !== undefined
  })
  return isHeld
}
