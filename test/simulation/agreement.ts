import type { Avatar, RecordId, SignedRecord } from '../../src/record/types.ts'
import type { Quotas, StoredRecord } from '../../src/store/types.ts'
import type { TestRecord } from '../oracle/signing.ts'
import type { Ledger } from './ledger.ts'
import type { SimulatedNode } from './node.ts'
import type { Process } from './process.ts'
import type { World } from './world-types.ts'

const ALL = 1_000_000

/** What a node holds of an avatar. */
interface Holding {
  /** Counter of the base. */
  readonly base: number
  /** Live records, with the bytes that each takes. */
  readonly live: ReadonlyMap<RecordId, number>
}
export type Holdings = ReadonlyMap<Avatar, Holding>

const NOTHING: Holding = { base: 0, live: new Map() }

export function holdingOf(base: number, records: readonly StoredRecord[]): Holding {
  const live = records.filter(({ status }) => status !== 'superseded')
  return { base, live: new Map(live.map((record) => [record.id, bytesOf(record)])) }
}

function bytesOf({ payload, signature }: SignedRecord): number {
  return payload.length + signature.length
}

async function holdingsOf({ store }: Process): Promise<Holdings> {
  const holdings = new Map<Avatar, Holding>()
  for (const avatar of await store.avatars({ limit: ALL })) {
    const page = await store.records(avatar, { after: 0, limit: ALL })
    const summary = await store.summary(avatar)
    holdings.set(avatar, holdingOf(summary?.base?.counter ?? 0, page?.records ?? []))
  }
  return holdings
}

/** Pairs of nodes that are connected. */
export function neighbours(world: World): [SimulatedNode, SimulatedNode][] {
  return world.scenario.links.map(([a, b]) => [world.nodes[a] as SimulatedNode, world.nodes[b] as SimulatedNode])
}

/** Whether two nodes must end with the same live records of an avatar. */
export function mustBeEqual(one: SimulatedNode, other: SimulatedNode, avatar: Avatar): boolean {
  return one.keeps(avatar) && other.keeps(avatar) && !one.isLimited && !other.isLimited
}

/** Of each node's avatars, the counter below which it keeps nothing that counts. */
export async function basesOf(world: World): Promise<ReadonlyMap<SimulatedNode, ReadonlyMap<Avatar, number>>> {
  const bases = new Map<SimulatedNode, ReadonlyMap<Avatar, number>>()
  for (const node of world.nodes) {
    const holdings = await node.call(holdingsOf)
    bases.set(node, new Map([...(holdings ?? [])].map(([avatar, { base }]) => [avatar, base])))
  }
  return bases
}

/** Names a difference between neighbours that nothing in what each of them keeps explains. */
export async function disagreement(world: World): Promise<string | undefined> {
  const holdings = new Map<SimulatedNode, Holdings>()
  await Promise.all(world.nodes.map(async (node) => holdings.set(node, await node.call(holdingsOf))))
  return unexplainedDifference(world, holdings)
}

export function unexplainedDifference(
  world: World,
  holdings: ReadonlyMap<SimulatedNode, Holdings>,
): string | undefined {
  for (const [one, other] of neighbours(world)) {
    for (const [from, to] of [
      [one, other],
      [other, one],
    ] as const) {
      const [theirs, ours] = [holdings.get(from) ?? new Map(), holdings.get(to) ?? new Map()]
      for (const avatar of theirs.keys()) {
        const [id] = unexplained(world.ledger, avatar, { node: from, holdings: theirs }, { node: to, holdings: ours })
        if (id !== undefined) return `${to.name} lacks ${id} of ${avatar}, which ${from.name} holds`
      }
    }
  }
  return undefined
}

interface Side {
  readonly node: SimulatedNode
  readonly holdings: Holdings
}

/** Live records of one node that the other should hold as well, and does not. */
function unexplained(ledger: Ledger, avatar: Avatar, from: Side, to: Side): RecordId[] {
  if (!from.node.keeps(avatar) || !to.node.keeps(avatar)) return []
  const mine = to.holdings.get(avatar) ?? NOTHING
  const lacked = [...(from.holdings.get(avatar) ?? NOTHING).live.keys()].filter((id) => !mine.live.has(id))
  if (mustBeEqual(from.node, to.node, avatar)) return lacked
  return lacked.filter((id) => {
    const record = ledger.record(id)
    if (record === undefined || record.body.counter < mine.base) return false
    const full = fullUnits(to.node.policy.quotas, avatar, to.holdings, bytesOf(record))
    return full.length === 0 || (isWhole(record) && frees(ledger, mine, record, full))
  })
}

type Unit = 'bytes' | 'records'
type Amount = Record<Unit, number>

/** In which units a quota has no room for one more record. Only what is live takes room. */
function fullUnits(quotas: Quotas | null, avatar: Avatar, holdings: Holdings, bytes: number): Unit[] {
  if (quotas === null) return []
  const own = used([holdings.get(avatar) ?? NOTHING])
  const total = used(holdings.values())
  const isOver = (limit: number, amount: number): boolean => limit > 0 && amount > limit
  const units: Unit[] = []
  if (isOver(quotas.avatarBytes, own.bytes + bytes) || isOver(quotas.totalBytes, total.bytes + bytes)) {
    units.push('bytes')
  }
  if (isOver(quotas.avatarRecords, own.records + 1) || isOver(quotas.totalRecords, total.records + 1)) {
    units.push('records')
  }
  return units
}

function used(holdings: Iterable<Holding>): Amount {
  const sum = { bytes: 0, records: 0 }
  for (const { live } of holdings) {
    sum.records += live.size
    for (const bytes of live.values()) sum.bytes += bytes
  }
  return sum
}

/** Whether a record is a snapshot that needs no parts. */
function isWhole({ body }: TestRecord): boolean {
  return body.type === 'snapshot' && body.parts.length === 0
}

/** Whether a snapshot frees more than it takes, in every unit that is full. */
function frees(ledger: Ledger, mine: Holding, snapshot: TestRecord, full: readonly Unit[]): boolean {
  const below = [...mine.live].filter(([id]) => (ledger.record(id)?.body.counter ?? 0) < snapshot.body.counter)
  const freed = used([{ base: 0, live: new Map(below) }])
  const takes: Amount = { bytes: bytesOf(snapshot), records: 1 }
  return full.every((unit) => freed[unit] > takes[unit])
}

/** Names a quota that a node has exceeded. */
export function exceededQuota({ policy }: SimulatedNode, holdings: Holdings): string | undefined {
  if (policy.quotas === null) return undefined
  const { avatarBytes, avatarRecords, totalBytes, totalRecords } = policy.quotas
  const isOver = (limit: number, amount: number): boolean => limit > 0 && amount > limit
  for (const [avatar, holding] of holdings) {
    const own = used([holding])
    if (isOver(avatarBytes, own.bytes) || isOver(avatarRecords, own.records)) return `${avatar} ${JSON.stringify(own)}`
  }
  const total = used(holdings.values())
  if (isOver(totalBytes, total.bytes) || isOver(totalRecords, total.records)) return `all ${JSON.stringify(total)}`
  return undefined
}
