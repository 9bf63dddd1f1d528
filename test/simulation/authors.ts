import { IngestBusyError } from '../../src/ingest/errors.ts'
import { compareCitations, compareUtf8 } from '../../src/record/order.ts'
import type {
  Avatar,
  Citation,
  JsonObject,
  JsonValue,
  PartBody,
  PatchBody,
  SnapshotBody,
  StateEntry,
} from '../../src/record/types.ts'
import { signBody, type TestKey, type TestRecord } from '../oracle/signing.ts'
import { LINKS_KEY } from '../../src/state/links.ts'
import { NETWORK } from './crypto.ts'
import type { SimulatedNode } from './node.ts'
import { NodeDownError, WORLD_EPOCH_MS } from './process.ts'
import { Random } from './random.ts'
import { Violation } from './violation.ts'
import type { World } from './world-types.ts'
import { viewOf } from '../store/read-whole.ts'
import type { AvatarView } from '../store/read-whole.ts'

const PREV_MAX = 16
/** Times that a client offers a record before it gives up. */
const MAX_ATTEMPTS = 4
/** Share of the writes that are many rivals at once. */
const CROWDS = 0.015
/** Share of the patches of the own namespace that link. */
const LINKING = 0.4
const MEMBERS = ['a', 'b', 'c', '__proto__'] as const
const NAMESPACES = [
  ['twitter', 'alice'],
  ['twitter', 'bob'],
] as const

/** Somebody who writes to one avatar from several devices, through whatever node is at hand, like a version 2 client. */
export class Author {
  readonly key: TestKey
  readonly #world: World
  readonly #random: Random
  /** How far the clocks of its devices are off. */
  readonly #skewMs: number
  /** Tips as its devices saw them at some time. */
  readonly #memories: (readonly Citation[])[] = [[]]
  /** Of its own, so that links change nothing else in a seed's world. */
  readonly #linking: Random

  constructor(world: World, key: TestKey) {
    this.key = key
    this.#world = world
    this.#random = world.random.fork()
    this.#linking = new Random(Number.parseInt(key.avatar.slice(4, 12), 16) + world.scenario.actions)
    const { skewMs } = world.scenario
    this.#skewMs = skewMs === 0 ? 0 : this.#random.between(-skewMs, skewMs)
  }

  get avatar(): Avatar {
    return this.key.avatar
  }

  /** Reads, writes one thing and submits it. */
  async act(node: SimulatedNode): Promise<void> {
    const view = await this.#view(node)
    if (view === null) return
    const tips = view?.summary.tips ?? []
    this.#memories.push(tips)
    const { staleness, snapshots } = this.#world.scenario
    const prev = this.#random.chance(staleness) ? this.#random.pick(this.#memories) : tips
    if (this.#random.chance(snapshots)) await this.#writeSnapshots(node, prev ?? [], view)
    else await this.#writePatches(node, prev ?? [])
  }

  /** What a node shows; null if it could not be asked. */
  async #view(node: SimulatedNode): Promise<AvatarView | undefined | null> {
    try {
      const view = await node.call((process) => viewOf(process.store, this.avatar))
      if (view !== undefined) this.#world.checker.checkView(`${node.name} to a reader`, view)
      return view
    } catch (error) {
      if (error instanceof NodeDownError) return null
      throw error
    }
  }

  async #writePatches(node: SimulatedNode, seen: readonly Citation[]): Promise<void> {
    const random = this.#random
    // Now and then more than a summary lists, or one record can cite.
    const isCrowd = random.chance(CROWDS)
    const count = isCrowd ? PREV_MAX + random.between(1, 4) : random.chance(0.25) ? random.between(2, 4) : 1
    const isChain = !isCrowd && random.chance(0.7)
    const records: TestRecord[] = []
    let prev = seen
    for (let written = 0; written < count; written += 1) {
      const record = this.patch(prev)
      records.push(record)
      if (isChain) prev = [placeOf(record)]
    }
    await this.#submit(random.chance(0.5) ? records : random.shuffled(records), node)
  }

  /** One snapshot, or two that rival each other, with what the node shows as their state. */
  async #writeSnapshots(node: SimulatedNode, prev: readonly Citation[], view: AvatarView | undefined): Promise<void> {
    const random = this.#random
    const entries = (view?.namespaces ?? []).map(({ platform, identity, json }): StateEntry => ({
      platform,
      identity,
      content: JSON.parse(json) as JsonObject,
    }))
    for (let rivals = random.chance(0.25) ? 2 : 1; rivals > 0; rivals -= 1) {
      const state = random.chance(0.15) ? [] : entries
      const records = random.chance(0.5) ? this.snapshot(prev, state) : [...this.snapshot(prev, [], state)]
      const last = records.at(-1)
      if (last !== undefined && random.chance(0.3)) records.push(this.patch([placeOf(last)]))
      const to = rivals > 1 ? (this.#world.someNode(this.avatar) ?? node) : node
      // The parts may arrive in any order, and apart from what names them.
      if (random.chance(0.5)) await this.#submit(records, to)
      else for (const record of random.shuffled(records)) await this.#submit([record], to)
    }
  }

  patch(prev: readonly Citation[]): TestRecord {
    const [platform, identity] = this.#random.chance(0.3)
      ? ['nextid', this.avatar]
      : (this.#random.pick(NAMESPACES) as readonly [string, string])
    const cited = sorted(prev)
    const body: PatchBody = {
      ...this.#common(after(cited)),
      type: 'patch',
      platform,
      identity,
      patch: platform === 'nextid' ? this.#linked(this.#content()) : this.#content(),
      prev: cited,
    }
    return this.#sign(body)
  }

  /** A snapshot after the parts that it names, which hold `inParts` namespace by namespace. */
  snapshot(prev: readonly Citation[], state: readonly StateEntry[], inParts: readonly StateEntry[] = []): TestRecord[] {
    const cited = sorted(prev)
    const counter = after(cited)
    const parts = inParts.map((entry) => this.part(counter, [entry]))
    const body: SnapshotBody = {
      ...this.#common(counter),
      type: 'snapshot',
      parts: parts.map(({ id }) => id),
      prev: cited,
      state: [...state].sort((a, b) => compareUtf8(a.platform, b.platform) || compareUtf8(a.identity, b.identity)),
    }
    return [...parts, this.#sign(body)]
  }

  part(counter: number, state: readonly StateEntry[]): TestRecord {
    const body: PartBody = { ...this.#common(counter), type: 'part', state }
    return this.#sign(body)
  }

  #sign(body: PatchBody | SnapshotBody | PartBody): TestRecord {
    const record = signBody(this.key, body)
    this.#world.ledger.add(record)
    return record
  }

  #common(counter: number) {
    const nowMs = WORLD_EPOCH_MS + this.#world.timeline.nowMs + this.#skewMs
    return {
      avatar: this.avatar,
      counter,
      created_at: Math.floor(nowMs / 1_000),
      network: NETWORK,
      uuid: this.#random.uuid(),
      version: '2' as const,
    }
  }

  #content(): JsonObject {
    const value = (): JsonValue => {
      const kind = this.#random.below(10)
      if (kind < 2) return null
      if (kind < 6) return this.#random.below(100)
      if (kind < 7) return [1, null, { a: null }]
      return Object.fromEntries([[this.#random.pick(MEMBERS), kind < 8 ? null : this.#random.below(100)]])
    }
    const count = this.#random.between(1, 2)
    return Object.fromEntries(Array.from({ length: count }, () => [this.#random.pick(MEMBERS), value()]))
  }

  /** A patch of the own namespace, or instead of it one that links some members to other authors, or ends a link. */
  #linked(patch: JsonObject): JsonObject {
    const random = this.#linking
    if (!random.chance(LINKING)) return patch
    const others = this.#world.avatars.filter((avatar) => avatar !== this.avatar)
    const link = (): JsonValue => {
      const avatar = random.chance(0.7) ? random.pick(others) : undefined
      return avatar === undefined ? null : { avatar, label: this.avatar.slice(0, 6) }
    }
    return { ...patch, [LINKS_KEY]: Object.fromEntries([[random.pick(MEMBERS), link()]]) }
  }

  /** Submits records, or holds some of them back for a while or for ever. */
  async #submit(records: readonly TestRecord[], node: SimulatedNode): Promise<void> {
    const { withholding, faultyMs } = this.#world.scenario
    const now: TestRecord[] = []
    for (const record of records) {
      if (!this.#random.chance(withholding)) now.push(record)
      else if (this.#random.chance(0.6)) this.#offerLate(record, node, this.#random.between(100, faultyMs))
    }
    if (now.length > 0) await this.offer(now, node)
    const other = this.#world.someNode(this.avatar)
    if (now.length > 0 && other !== undefined && this.#random.chance(0.1)) await this.offer(now, other)
  }

  #offerLate(record: TestRecord, node: SimulatedNode, delayMs: number): void {
    const { timeline, scenario } = this.#world
    if (timeline.nowMs + delayMs >= scenario.faultyMs) {
      this.#world.afterFaults(async (other) => this.offer([record], other))
      return
    }
    this.#world.later(delayMs, `author late ${record.id.slice(2, 10)}`, async () =>
      this.offer([record], this.#world.someNode(this.avatar) ?? node),
    )
  }

  /** Offers records to a node, and to others where it does not answer; remembers what was acknowledged. */
  async offer(records: readonly TestRecord[], node: SimulatedNode, attempt = 1): Promise<void> {
    const letGo = node.timesLetGo(this.avatar)
    const base = node.wasDamaged ? 0 : this.#world.checker.baseOf(node, this.avatar)
    try {
      const results = await node.submit(records, 'http')
      for (const [at, result] of results.entries()) {
        const record = records[at] as TestRecord
        this.#world.timeline.note(`${node.name} author ${record.id.slice(2, 10)} ${result.status} ${result.code ?? ''}`)
        if (result.id !== record.id) throw new Violation('a record has two ids', `${record.id} and ${result.id}`)
        if (result.status === 'invalid') {
          throw new Violation('an honest record is called invalid', `${record.id} ${result.code}`)
        }
        if (result.status !== 'superseded' && result.status !== 'refused' && record.body.counter < base) {
          throw new Violation('an author is not told that its write is superseded', `${record.id} ${result.status}`)
        }
        if (result.status === 'superseded') this.#world.ledger.told.add(record.id)
        if (result.status === 'refused') this.#world.afterFaults(async (other) => this.offer([record], other))
        else if (result.status !== 'superseded' || node.keepsHistory)
          await this.#world.acknowledged(record, node, letGo)
      }
    } catch (error) {
      const isExpected =
        error instanceof NodeDownError || error instanceof IngestBusyError || node.blockDevice.isFailing
      if (!isExpected) throw error
      this.#world.timeline.note(`${node.name} author failed: ${error instanceof Error ? error.name : String(error)}`)
      if (attempt >= MAX_ATTEMPTS) return
      this.#world.later(this.#random.between(100, 5_000), 'author again', async () =>
        this.offer(records, this.#world.someNode(this.avatar) ?? node, attempt + 1),
      )
    }
  }
}

export function placeOf({ id, body }: TestRecord): Citation {
  return { counter: body.counter, id }
}

function sorted(prev: readonly Citation[]): Citation[] {
  return prev
    .map(({ counter, id }) => ({ counter, id }))
    .sort(compareCitations)
    .slice(-PREV_MAX)
}

function after(prev: readonly Citation[]): number {
  return 1 + (prev.at(-1)?.counter ?? 0)
}
