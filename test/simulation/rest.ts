import type { Avatar, RecordId } from '../../src/record/types.ts'
import { text } from './disk.ts'
import type { Look } from './checker.ts'
import type { Process, SimulatedNode } from './node.ts'
import type { SortedMap } from './sorted-map.ts'
import { Violation } from './violation.ts'
import type { World } from './world.ts'

const ALL = 1_000_000
/** Nodes whose derived rows are made anew at rest, beside those whose disk lied. */
const REBUILT_NODES = 2

/** Checks all that must hold once faults are over and nobody has anything to send any more. */
export async function checkRest(world: World): Promise<void> {
  const looks = new Map<SimulatedNode, Map<Avatar, Look>>()
  for (const node of world.nodes) {
    const { process } = node
    if (process === undefined) throw new Violation('a node does not run', node.name)
    const avatars = new Map<Avatar, Look>()
    for (const avatar of await node.quietly(() => process.store.avatars({ limit: ALL }))) {
      avatars.set(avatar, await world.checker.look(node, process, avatar))
    }
    looks.set(node, avatars)
    // Two broken rows of one record, `r` and `h`, leave its `o` row behind, which is counted.
    if (node.damages <= 1) checkTotals(node, process, avatars)
    checkQueues(node, process)
    if (!node.wasDamaged) checkIndexes(node, [...avatars.values()])
    await node.quietly(() => checkFeed(node, process, [...avatars.values()]))
  }
  checkEqual(looks)
  const rebuilt = world.random.shuffled(world.nodes).slice(0, REBUILT_NODES)
  for (const node of world.nodes) {
    if (node.wasDamaged || rebuilt.includes(node)) await node.quietly(() => node.call((it) => checkRebuild(node, it)))
  }
  for (const node of world.nodes) await checkAcknowledged(world, node, looks.get(node) ?? new Map())
}

/** Every node holds the same live records of every avatar, and shows the same. */
function checkEqual(looks: ReadonlyMap<SimulatedNode, ReadonlyMap<Avatar, Look>>): void {
  const lines = [...looks].map(([node, avatars]) => {
    const all = [...avatars].map(([avatar, { view, expected }]) => {
      const live = [...expected.fold.statuses].filter(([, status]) => status !== 'superseded').map(([id]) => id)
      return `${avatar} ${view?.summary.digest} ${live.sort().join(' ')}`
    })
    return { node: node.name, text: all.sort().join('\n') }
  })
  const [first, ...others] = lines
  for (const other of others) {
    if (other.text === first?.text) continue
    throw new Violation('nodes differ at rest', `${first?.node}\n${first?.text}\n${other.node}\n${other.text}`)
  }
}

/** An acknowledged write is there, or a snapshot took its place and its author can know. */
async function checkAcknowledged(world: World, node: SimulatedNode, avatars: ReadonlyMap<Avatar, Look>): Promise<void> {
  const seen = new Set<RecordId>()
  for (const { bodies } of avatars.values()) {
    for (const body of bodies.values()) {
      if (body.type === 'snapshot') for (const id of world.ledger.closure(body.prev)) seen.add(id)
    }
  }
  for (const { record, node: number } of world.ledger.acknowledged) {
    const { id, body } = record
    const home = world.nodes[number] as SimulatedNode
    const look = avatars.get(body.avatar)
    const base = look?.view?.summary.base?.counter ?? 0
    if (look?.bodies.has(id) !== true) {
      if (home.wasDamaged || body.counter < base) continue
      throw new Violation('an acknowledged write is lost', `${node.name} does not have ${id} of ${home.name}`)
    }
    const isTold = body.counter >= base || body.type !== 'patch' || seen.has(id) || world.ledger.told.has(id)
    if (node !== home || isTold || home.wasDamaged) continue
    const events = await node.quietly(() => node.call(({ store }) => store.events({ after: 0, limit: ALL })))
    const isInFeed = events !== 'reset' && events.some((event) => event.kind === 'superseded' && event.id === id)
    if (!isInFeed) throw new Violation('nobody was told of a superseded write', `${id} on ${node.name}`)
  }
}

function checkTotals(node: SimulatedNode, { store }: Process, avatars: ReadonlyMap<Avatar, Look>): void {
  const totals = store.totals()
  const records = [...avatars.values()].reduce((sum, { expected }) => sum + expected.fold.live, 0)
  if (totals.avatars === avatars.size && totals.records === records) return
  throw new Violation('totals are wrong', `${node.name} ${JSON.stringify(totals)}, not ${avatars.size} and ${records}`)
}

/** Nobody is left waiting. */
function checkQueues(node: SimulatedNode, { gauges, outbox }: Process): void {
  const waiting = gauges.get('avatar_kv_ingest_waiting_records')?.() ?? 0
  if (waiting !== 0 || outbox.queuedBytes() !== 0) {
    throw new Violation(
      'queues are not empty at rest',
      `${node.name} ${waiting} records, ${outbox.queuedBytes()} bytes`,
    )
  }
}

/** The index rows are exactly those of the records held (see the key table in src/store/keys.ts). */
function checkIndexes(node: SimulatedNode, looks: readonly Look[]): void {
  const right = new Set<string>()
  for (const { records, bodies, expected } of looks) {
    for (const { id, sequence } of records) {
      const body = bodies.get(id)
      if (body === undefined) continue
      const [avatar, idBytes] = [bytesOf(body.avatar), bytesOf(id)]
      right.add(`r${avatar}${number(sequence)}`)
      right.add(`h${avatar}${number(body.counter)}${idBytes}`)
      right.add(`i${idBytes}`)
      if (expected.fold.statuses.get(id) !== 'superseded') right.add(`o${number(body.created_at)}${idBytes}`)
    }
  }
  const stored = new Set<string>()
  for (const [key] of node.media.current.entries()) if ('rhio'.includes(key[0] as string)) stored.add(key)
  for (const key of right) {
    if (!stored.has(key)) throw new Violation('an index row is missing', `${node.name} ${hex(key)}`)
  }
  for (const key of stored) {
    if (!right.has(key)) throw new Violation('an index row is left over', `${node.name} ${hex(key)}`)
  }
}

/** The feed tells of every record once, in order. */
async function checkFeed(node: SimulatedNode, { store }: Process, looks: readonly Look[]): Promise<void> {
  const events = await store.events({ after: 0, limit: ALL })
  if (events === 'reset') throw new Violation('the feed begins too late', node.name)
  let before = 0
  const told = new Set<RecordId>()
  for (const { sequence, kind, id } of events) {
    if (sequence <= before) throw new Violation('the feed is out of order', `${node.name} ${sequence} after ${before}`)
    before = sequence
    if (kind === 'superseded') continue
    if (told.has(id) && !node.wasDamaged) throw new Violation('the feed repeats a record', `${node.name} ${id}`)
    told.add(id)
  }
  if (node.wasDamaged) return
  const held = looks.flatMap(({ records }) => records.map(({ id }) => id))
  const lacking = held.find((id) => !told.has(id))
  if (lacking !== undefined || told.size !== held.length) {
    throw new Violation('the feed is not what is held', `${node.name} ${lacking ?? 'tells of more'}`)
  }
}

/** Derived rows made anew are those that stand there, byte for byte. */
async function checkRebuild(node: SimulatedNode, { store }: Process): Promise<void> {
  // Rows that a lying disk has changed and nobody has read since are mended by the first time.
  if (node.wasDamaged) await store.rebuild()
  const before = node.media.current
  await store.rebuild()
  const difference = firstDifference(before, node.media.current)
  if (difference !== undefined) throw new Violation('a rebuilt row is another', `${node.name} ${hex(difference)}`)
}

function firstDifference(left: SortedMap, right: SortedMap): string | undefined {
  for (const [key, value] of left.entries()) {
    const other = right.get(key)
    if (other === undefined || text(other) !== text(value)) return key
  }
  for (const [key] of right.entries()) if (left.get(key) === undefined) return key
  return undefined
}

function bytesOf(hexText: string): string {
  return Buffer.from(hexText.slice(2), 'hex').toString('latin1')
}

function number(value: number): string {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes.toString('latin1')
}

function hex(key: string): string {
  return `${key[0]} ${Buffer.from(key.slice(1), 'latin1').toString('hex')}`
}
