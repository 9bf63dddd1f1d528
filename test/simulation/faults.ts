import type { SimulatedNode } from './node.ts'
import type { Random } from './random.ts'
import type { World } from './world-types.ts'

/** Longest that a fault lasts before its repair. */
const MAX_FAULT_MS = 25_000
/** About what it takes to make the rows of an avatar anew. */
const REPAIR_MS = 40

/** Lets go wrong, at random times, what the scenario says. */
export function scheduleFaults(world: World): void {
  const { scenario, random } = world
  const sometime = (): number => random.between(100, scenario.faultyMs)
  const plan: readonly [number, string, () => void][] = [
    [scenario.partitions, 'partition', () => partition(world)],
    [scenario.clogs, 'clog', () => clog(world)],
    [scenario.crashes, 'crash', () => crash(world)],
    [scenario.diskFailures, 'disk fails', () => failDisk(world)],
    [scenario.brokenRows, 'disk lies', () => damageRow(world)],
    [scenario.departures, 'leave', () => leave(world)],
  ]
  for (const [count, label, run] of plan) {
    for (let each = 0; each < count; each += 1) world.timeline.after(sometime(), label, run)
  }
}

/** Cuts the wires between some nodes and the others, both ways or one. */
function partition(world: World): void {
  const { random, wires } = world
  const apart = new Set(world.nodes.filter(() => random.chance(0.5)).map(({ number }) => number))
  const isOneWay = random.chance(0.4)
  const crossing = wires
    .all()
    .filter(({ from, to }) => (isOneWay ? apart.has(from) && !apart.has(to) : apart.has(from) !== apart.has(to)))
  for (const wire of crossing) wire.isCut = true
  world.timeline.note(`${isOneWay ? 'one-way ' : ''}partition of ${[...apart]}`)
  world.timeline.after(random.between(500, MAX_FAULT_MS), 'partition ends', () => {
    for (const wire of crossing) wire.isCut = false
  })
}

function clog(world: World): void {
  const wire = world.random.pick(world.wires.all())
  if (wire !== undefined) wire.cloggedUntilMs = world.timeline.nowMs + world.random.between(500, MAX_FAULT_MS)
}

function crash(world: World): void {
  const node = world.someNode()
  if (node === undefined) return
  world.timeline.note(`${node.name} crashes`)
  node.crash()
  startAgain(world, node)
}

/** Writes fail until somebody has repaired the disk and started the node again. */
function failDisk(world: World, node = world.someNode()): void {
  if (node === undefined || world.isHealed) return
  world.timeline.note(`${node.name} its disk fails`)
  node.blockDevice.fail()
  world.timeline.after(world.random.between(500, MAX_FAULT_MS), `${node.name} disk repaired`, () => {
    if (world.isHealed) return
    node.blockDevice.repair()
    node.crash()
    startAgain(world, node)
  })
}

/**
 * Flips one bit of one stored row, or loses a row of an avatar's state. Not one of history (`h`), locations (`i`) or the
 * order of sync (`o`): that one of theirs is gone is noticed only when the avatar is rebuilt.
 */
function damageRow(world: World): void {
  const { random } = world
  const node = random.pick(world.nodes)
  if (node === undefined) return
  const row = random.pick([...node.blockDevice.current.entries()])
  if (row === undefined) return
  const [key, value] = row
  const table = key[0] as string
  const isLost = 'vtkpq'.includes(table) && (value.length === 0 || random.chance(0.3))
  if (!isLost && value.length === 0) return
  world.timeline.note(`${node.name} a ${isLost ? '' : 'bit of a '}${table} row ${isLost ? 'is lost' : 'flips'}`)
  node.damages += 1
  node.blockDevice.damage(key, isLost ? undefined : flipped(random, value))
}

/** What a disk has broken is often repaired while it goes on breaking. */
export function failWhileRepairing(world: World, node: SimulatedNode): void {
  if (world.isHealed || !world.random.chance(0.3)) return
  world.timeline.after(world.random.between(0, REPAIR_MS), 'disk fails', () => failDisk(world, node))
}

function flipped(random: Random, value: Uint8Array): Uint8Array {
  const changed = Uint8Array.from(value)
  const at = random.below(changed.length)
  changed[at] = (changed[at] as number) ^ (1 << random.below(8))
  return changed
}

function leave(world: World): void {
  const node = world.someNode()
  if (node === undefined) return
  world.timeline.note(`${node.name} leaves`)
  world.spawn(async () => {
    await node.stop()
    startAgain(world, node)
  })
}

function startAgain(world: World, node: SimulatedNode): void {
  world.later(world.random.between(10, MAX_FAULT_MS), `${node.name} starts`, async () => world.startNode(node))
}
