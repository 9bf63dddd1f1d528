import type { Avatar, RecordId } from '../../src/record/types.ts'
import { exceededQuota, holdingOf, mustBeEqual, neighbours, unexplainedDifference, type Holdings } from './agreement.ts'
import { text } from './disk.ts'
import type { Look } from './checker.ts'
import { checkExports } from './exports.ts'
import { wrongHealth } from './health.ts'
import type { SimulatedNode } from './node.ts'
import type { Process } from './process.ts'
import type { SortedMap } from './sorted-map.ts'
import { Violation } from './violation.ts'
import type { World } from './world-types.ts'

const ALL = 1_000_000
/** Nodes whose derived rows are made anew at rest, beside those whose disk lied. */
const REBUILT_NODES = 2

/** Checks all that must hold once faults are over and nobody has anything to send any more. */
export async function checkFinalState(world: World): Promise<void> {
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
    checkKept(world, node, avatars)
    await node.quietly(() => checkFeed(world, node, process, avatars))
    if (!node.wasDamaged) await node.quietly(() => checkExports(world, node, process, avatars))
  }
  checkAgreement(world, looks)
  const wrong = wrongHealth(world)
  if (wrong !== undefined) throw new Violation('a node is wrong about a neighbour', wrong)
  const rebuilt = world.random.shuffled(world.nodes).slice(0, REBUILT_NODES)
  for (const node of world.nodes) {
    if (node.wasDamaged || rebuilt.includes(node)) await node.quietly(() => node.call((it) => checkRebuild(node, it)))
  }
  for (const node of world.nodes) await checkAcknowledged(world, node, looks.get(node) ?? new Map())
}

/** Neighbours hold the same live records of what both keep, and show the same, but for what one had no room for. */
function checkAgreement(world: World, looks: ReadonlyMap<SimulatedNode, ReadonlyMap<Avatar, Look>>): void {
  const holdings = new Map<SimulatedNode, Holdings>()
  for (const [node, avatars] of looks) {
    const held = [...avatars].map(([avatar, { view, records }]) => {
      return [avatar, holdingOf(view?.summary.base?.counter ?? 0, records)] as const
    })
    holdings.set(node, new Map(held))
    const isWaiting = [...avatars.values()].some((look) => hasParts(look))
    const exceeded = node.wasDamaged || isWaiting ? undefined : exceededQuota(node, new Map(held))
    if (exceeded !== undefined) throw new Violation('a quota is exceeded', `${node.name} ${exceeded}`)
  }
  const difference = unexplainedDifference(world, holdings)
  if (difference !== undefined) throw new Violation('nodes differ at rest', difference)
  for (const [one, other] of neighbours(world)) {
    for (const [avatar, { view }] of looks.get(one) ?? []) {
      const digests = [view?.summary.digest, looks.get(other)?.get(avatar)?.view?.summary.digest]
      if (!mustBeEqual(one, other, avatar) || digests[0] === digests[1]) continue
      throw new Violation('nodes differ at rest', `${avatar} ${one.name} ${digests[0]} ${other.name} ${digests[1]}`)
    }
  }
}

/** Whether a snapshot, or a part of one, is held that does not count now. */
function hasParts({ bodies, expected }: Look): boolean {
  return [...bodies].some(([id, { type }]) => {
    const status = expected.fold.statuses.get(id)
    const isBase = expected.fold.base?.id === id
    return (type === 'part' && status === 'pending') || (type === 'snapshot' && status !== 'superseded' && !isBase)
  })
}

/** A write that a node has acknowledged is there, or a snapshot took its place and its author can know. */
async function checkAcknowledged(world: World, node: SimulatedNode, avatars: ReadonlyMap<Avatar, Look>): Promise<void> {
  if (node.wasDamaged) return
  const events = await node.quietly(() => node.call(({ store }) => store.events({ after: 0, limit: ALL })))
  if (events === 'reset') throw new Violation('the feed begins too late', node.name)
  const told = new Set(events.filter(({ kind }) => kind === 'superseded').map(({ id }) => id))
  const seen = new Set<RecordId>()
  for (const { id } of events) {
    const body = world.ledger.record(id)?.body
    if (body?.type === 'snapshot') for (const each of world.ledger.closure(body.prev)) seen.add(each)
  }
  for (const { record, node: number, letGo } of world.ledger.acknowledged) {
    const { id, body } = record
    if (number !== node.number || letGo !== node.timesLetGo(body.avatar)) continue
    const look = avatars.get(body.avatar)
    const base = look?.view?.summary.base?.counter ?? 0
    if (body.counter >= base || node.keepsHistory) {
      if (look?.bodies.has(id) !== true) {
        throw new Violation('an acknowledged write is lost', `${node.name} does not have ${id}`)
      }
      if (body.counter >= base) continue
    }
    const isTold = body.type !== 'patch' || seen.has(id) || told.has(id) || world.ledger.told.has(id)
    if (!isTold) throw new Violation('nobody was told of a superseded write', `${id} on ${node.name}`)
  }
}

function checkTotals(node: SimulatedNode, { store }: Process, avatars: ReadonlyMap<Avatar, Look>): void {
  const totals = store.totals()
  const records = [...avatars.values()].reduce((sum, { expected }) => sum + expected.fold.live, 0)
  const kept = [...avatars.values()].flatMap((look) => look.records)
  const bytes = kept.reduce((sum, { payload, signature }) => sum + payload.length + signature.length, 0)
  if (totals.avatars === avatars.size && totals.records === records && totals.bytes === bytes) return
  const right = JSON.stringify({ avatars: avatars.size, records, bytes })
  throw new Violation('totals are wrong', `${node.name} ${JSON.stringify(totals)}, not ${right}`)
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
      right.add(`s${number(sequence)}`)
      right.add(`b${avatar}${number(sequence)}`)
      right.add(`h${avatar}${number(body.counter)}${idBytes}`)
      right.add(`i${idBytes}`)
      if (expected.fold.statuses.get(id) !== 'superseded') right.add(`o${number(body.created_at)}${idBytes}`)
    }
  }
  const stored = new Set<string>()
  for (const [key] of node.blockDevice.current.entries()) if ('sbhio'.includes(key[0] as string)) stored.add(key)
  for (const key of right) {
    if (!stored.has(key)) throw new Violation('an index row is missing', `${node.name} ${hex(key)}`)
  }
  for (const key of stored) {
    if (!right.has(key)) throw new Violation('an index row is left over', `${node.name} ${hex(key)}`)
  }
}

/** Whether it is a row of a link (`n` or `l`) whose owner is another avatar, which is kept. */
function isLinkOfAnother(key: string, avatar: string): boolean {
  if (key[0] === 'n') return !key.startsWith(avatar, 1)
  return key[0] === 'l' && !key.startsWith(avatar, 1 + avatar.length)
}

/** A node keeps what it should: no history unless it is an archive, and nothing of an avatar that it let go. */
function checkKept(world: World, node: SimulatedNode, avatars: ReadonlyMap<Avatar, Look>): void {
  for (const [avatar, { expected }] of avatars) {
    const old = [...expected.fold.statuses].find(([, status]) => status === 'superseded')
    if (old === undefined || node.process?.isArchive === true) continue
    throw new Violation('a superseded record is never pruned', `${node.name} ${avatar} ${old[0]}`)
  }
  const hosting = node.process?.hosting
  for (const avatar of new Set([...avatars.keys(), ...world.avatars])) {
    if (hosting === undefined || hosting.hosts(avatar) || hosting.isBlocked(avatar)) continue
    const bytes = bytesOf(avatar)
    const left = [...node.blockDevice.current.entries()].find(
      ([key]) => !'fxm'.includes(key[0] as string) && key.includes(bytes) && !isLinkOfAnother(key, bytes),
    )
    if (left !== undefined)
      throw new Violation('an avatar that was let go is still there', `${node.name} ${hex(left[0])}`)
  }
}

/** The feed tells of every record once, in order: of those held, and of those that were pruned. */
async function checkFeed(
  world: World,
  node: SimulatedNode,
  { store }: Process,
  looks: ReadonlyMap<Avatar, Look>,
): Promise<void> {
  const events = await store.events({ after: 0, limit: ALL })
  if (events === 'reset') throw new Violation('the feed begins too late', node.name)
  let before = 0
  const told = new Set<RecordId>()
  for (const { sequence, kind, id, avatar } of events) {
    if (sequence <= before) throw new Violation('the feed is out of order', `${node.name} ${sequence} after ${before}`)
    before = sequence
    if (kind === 'superseded') continue
    if (sequence > (node.blocked.get(avatar) ?? Infinity)) {
      throw new Violation('a blocked avatar gets in', `${node.name} ${id}`)
    }
    const mayRepeat = node.wasDamaged || node.timesLetGo(avatar) > 0 || node.isFickle
    if (told.has(id) && !mayRepeat) throw new Violation('the feed repeats a record', `${node.name} ${id}`)
    told.add(id)
  }
  if (node.wasDamaged) return
  for (const [avatar, { bodies, view }] of looks) {
    for (const id of bodies.keys()) {
      if (!told.has(id)) throw new Violation('the feed is not what is held', `${node.name} ${id} is held`)
    }
    if (node.timesLetGo(avatar) > 0) continue
    const base = view?.summary.base?.counter ?? 0
    for (const id of told) {
      const body = world.ledger.record(id)?.body
      if (body?.avatar !== avatar || bodies.has(id) || (body.counter < base && !node.keepsHistory)) continue
      throw new Violation('the feed is not what is held', `${node.name} ${id} is told of`)
    }
  }
}

/** Derived rows made anew are those that stand there, byte for byte. */
async function checkRebuild(node: SimulatedNode, { store }: Process): Promise<void> {
  // Rows that a lying disk has changed and nobody has read since are repaired by the first time.
  if (node.wasDamaged) await store.rebuild()
  const before = node.blockDevice.current
  await store.rebuild()
  const difference = firstDifference(before, node.blockDevice.current)
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
