import { HostingError } from '../../src/hosting/errors.ts'
import type { Avatar } from '../../src/record/types.ts'
import type { SimulatedNode } from './node.ts'
import { NodeDownError, type Process } from './process.ts'
import type { World } from './world-types.ts'

/** Time in which what was let in is on disk. */
const UNDER_WAY_MS = 5_000

/** Lets operators change their minds, at random times, about which avatars their nodes keep. */
export function scheduleDecisions(world: World): void {
  const { decisions, faultyMs } = world.scenario
  for (let each = 0; each < decisions; each += 1) {
    world.later(world.random.between(100, faultyMs), 'operator decides', async () => decide(world))
  }
}

async function decide(world: World): Promise<void> {
  const node = world.random.pick(world.nodes.filter(({ process }) => process !== undefined))
  const avatar = world.random.pick(world.avatars)
  if (node === undefined || avatar === undefined) return
  const hosting = node.process?.hosting
  const isKept = hosting?.hosts(avatar) === true
  const isBlocked = hosting?.isBlocked(avatar) === true
  if (isBlocked) {
    node.blocked.delete(avatar)
    await tell(world, node, 'unblocks', avatar, ({ hosting: it }) => it.unblock([avatar]))
  } else if (!isKept) await tell(world, node, 'takes in', avatar, ({ hosting: it }) => it.add([avatar]))
  else if (world.random.chance(0.15)) {
    await tell(world, node, 'blocks', avatar, ({ hosting: it }) => it.block([avatar], { forget: false }))
    world.timeline.after(UNDER_WAY_MS, `${node.name} has blocked`, () => {
      const { process } = node
      if (process?.hosting.isBlocked(avatar) === true) node.blocked.set(avatar, process.store.lastSequence())
    })
  } else {
    const change = world.random.chance(0.2) ? 'blocks and forgets' : 'lets go'
    // What is taken in before that is written down goes as well.
    node.letGo(avatar)
    await tell(world, node, change, avatar, ({ hosting: it }) =>
      change === 'lets go' ? it.remove([avatar]) : it.block([avatar], { forget: true }),
    )
    node.letGo(avatar)
  }
}

async function tell(
  world: World,
  node: SimulatedNode,
  what: string,
  avatar: Avatar,
  change: (process: Process) => Promise<void>,
): Promise<void> {
  world.timeline.note(`${node.name} ${what} ${avatar.slice(2, 10)}`)
  try {
    await node.call(change)
    world.timeline.note(`${node.name} has done so`)
  } catch (error) {
    const isExpected = error instanceof NodeDownError || error instanceof HostingError
    if (!isExpected) throw error
    world.timeline.note(`${node.name} could not`)
  }
}
