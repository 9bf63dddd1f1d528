import fc from 'fast-check'
import type { Citation, PartBody, PatchBody, RecordId, SnapshotBody, StateEntry } from '../../src/record/types.ts'
import type { CitePlan, EntryPlan, LiePlan, PartPlan, StepPlan } from './history-plan.ts'
import { historyPlan } from './history-plan.ts'
import { signBody, testKey, type TestKey, type TestRecord } from './signing.ts'

/** A whole history of one avatar, in the order in which it was written. */
export interface History {
  readonly key: TestKey
  readonly records: readonly TestRecord[]
  /** Records of another avatar, some of whose ids the history names. */
  readonly foreign: readonly TestRecord[]
}

const NETWORK = 'main'
const EPOCH_SECONDS = 1_790_000_000
const PREV_MAX = 16
const CITED_COUNTER_MAX = Number.MAX_SAFE_INTEGER - 1
const COUNTER_AS_TIME = 100

/** Histories of the avatar `testKey(seed)` in at most `maxSteps` steps. */
export function history(maxSteps: number, seed = 1): fc.Arbitrary<History> {
  return historyPlan(maxSteps).map((plan) => {
    const built = buildHistory(plan, testKey(seed))
    return Object.assign(built, { [fc.toStringMethod]: () => describeHistory(built) })
  })
}

/** Signs what a plan says. */
function buildHistory(plan: readonly StepPlan[], key: TestKey): History {
  const writer = new HistoryWriter(key)
  for (const step of plan) writer.write(step)
  return { key, records: writer.records, foreign: writer.foreign }
}

/** A history in a form that a person can follow: records by their place in it, not by hashes. */
function describeHistory({ records, foreign }: History): string {
  const names = new Map<RecordId, string>()
  for (const [index, { id }] of records.entries()) names.set(id, `#${index}`)
  for (const [index, { id }] of foreign.entries()) names.set(id, `foreign#${index}`)
  const nameOf = (id: RecordId) => names.get(id) ?? `unknown ${Number(id)}`
  const lines = records.map(({ id, body }) => {
    const cites =
      body.type === 'part' ? '' : ` prev ${body.prev.map((at) => `${nameOf(at.id)}@${at.counter}`).join(' ')}`
    const holds =
      body.type === 'patch'
        ? ` ${body.platform}/${body.identity} ${JSON.stringify(body.patch)}`
        : JSON.stringify(body.state)
    const parts = body.type === 'snapshot' ? ` parts ${body.parts.map(nameOf).join(' ')}` : ''
    return `  ${nameOf(id)} ${id.slice(0, 10)} ${body.type}@${body.counter}${cites}${parts} ${holds}`
  })
  return `history {\n${lines.join('\n')}\n}`
}

class HistoryWriter {
  readonly records: TestRecord[] = []
  readonly foreign: readonly TestRecord[]
  readonly #key: TestKey
  #written = 0

  constructor(key: TestKey) {
    this.#key = key
    const other = testKey(0)
    this.foreign = [
      signBody(other, {
        ...this.#common(other, 1, 0),
        type: 'patch',
        ...namespaceAt(1, other),
        patch: { b: 1 },
        prev: [],
      }),
      signBody(other, { ...this.#common(other, 2, 0), type: 'part', state: [] }),
    ]
  }

  write(step: StepPlan): void {
    const prev = this.#cite(step.cite)
    const counter = counterAfter(prev)
    if (step.kind === 'snapshot') {
      const parts = step.parts.map((part) => this.#part(part, counter, step.createdAt)).filter((id) => id !== undefined)
      const state = this.#state(step.entries)
      const common = this.#common(this.#key, counter, step.createdAt)
      this.#sign({ ...common, type: 'snapshot', parts: [...new Set(parts)], prev, state })
      return
    }
    if (step.kind === 'rivals') {
      for (const { part, change } of step.rivals) this.#rival(prev, part, change, step.createdAt)
      return
    }
    for (const { namespace, content } of step.changes) {
      const common = this.#common(this.#key, counter, step.createdAt)
      this.#sign({ ...common, type: 'patch', ...namespaceAt(namespace, this.#key), patch: content, prev })
    }
  }

  #rival(prev: readonly Citation[], hasPart: boolean, change: EntryPlan, createdAt: number): void {
    const counter = counterAfter(prev)
    const state = this.#state([change])
    const part = hasPart && this.#sign({ ...this.#common(this.#key, counter, createdAt), type: 'part', state })
    const parts = part === false ? [] : [part.id]
    const common = this.#common(this.#key, counter, createdAt)
    const snapshot = this.#sign({ ...common, type: 'snapshot', parts, prev, state: hasPart ? [] : state })
    if (counter > CITED_COUNTER_MAX) return
    this.#sign({
      ...this.#common(this.#key, counter + 1, createdAt),
      type: 'patch',
      ...namespaceAt(change.namespace, this.#key),
      patch: change.content,
      prev: [placeOf(snapshot)],
    })
  }

  #sign(body: PatchBody | SnapshotBody | PartBody): TestRecord {
    const record = signBody(this.#key, body)
    this.records.push(record)
    return record
  }

  #common(key: TestKey, counter: number, createdAt: number) {
    this.#written += 1
    const time =
      createdAt < COUNTER_AS_TIME ? EPOCH_SECONDS + createdAt : createdAt === COUNTER_AS_TIME ? counter : Infinity
    return {
      avatar: key.avatar,
      counter,
      created_at: time < counter || time === Infinity ? Number.MAX_SAFE_INTEGER : time,
      network: NETWORK,
      uuid: `00000000-0000-4000-8000-${String(this.#written).padStart(12, '0')}`,
      version: '2' as const,
    }
  }

  /** Patches and snapshots: what an honest author cites. */
  #citable(): TestRecord[] {
    return this.records.filter((record) => record.body.type !== 'part')
  }

  #cite(plan: CitePlan): Citation[] {
    const chosen = new Map<RecordId, number>()
    for (const citation of this.#honest(plan)) chosen.set(citation.id, citation.counter)
    for (const lie of plan.lies) {
      const citation = this.#lie(lie)
      if (citation !== undefined) chosen.set(citation.id, citation.counter)
    }
    return [...chosen]
      .map(([id, counter]) => ({ counter, id }))
      .filter(({ counter }) => counter >= 1 && counter <= CITED_COUNTER_MAX)
      .sort((left, right) => left.counter - right.counter || (left.id < right.id ? -1 : 1))
      .slice(-PREV_MAX)
  }

  #honest(plan: CitePlan): readonly Citation[] {
    const citable = this.#citable()
    switch (plan.how) {
      case 'none':
        return []
      case 'last':
        return citable.slice(-1).map(placeOf)
      case 'some':
        return plan.picks
          .map((pick) => at(citable, pick))
          .filter((record) => record !== undefined)
          .map(placeOf)
      case 'sibling': {
        const sibling = at(citable, plan.picks[0] ?? 0)
        return sibling === undefined ? [] : prevOf(sibling)
      }
      case 'tips': {
        const cited = new Set(citable.flatMap((record) => prevOf(record).map((citation) => citation.id)))
        return citable.filter((record) => !cited.has(record.id)).map(placeOf)
      }
    }
  }

  #lie(plan: LiePlan): Citation | undefined {
    const target = this.#target(plan)
    if (target === undefined) return undefined
    const counter = 'shift' in plan.counter ? target.counter + plan.counter.shift : plan.counter.exactly
    return { counter, id: target.id }
  }

  #target(plan: LiePlan): Citation | undefined {
    if (plan.target === 'unknown') return { counter: 1 + (plan.pick % 8), id: unknownId(plan.pick) }
    const parts = this.records.filter((record) => record.body.type === 'part')
    const among = { own: this.#citable(), part: parts, foreign: this.foreign }[plan.target]
    const record = at(among, plan.pick)
    return record === undefined ? undefined : placeOf(record)
  }

  #part(plan: PartPlan, counter: number, createdAt: number): RecordId | undefined {
    const parts = this.records.filter((record) => record.body.type === 'part')
    switch (plan.how) {
      case 'new':
      case 'wrong counter': {
        const own = plan.how === 'new' ? counter : Math.max(1, counter + (plan.pick % 2 === 0 ? 1 : -1))
        const common = this.#common(this.#key, Math.min(own, Number.MAX_SAFE_INTEGER), createdAt)
        return this.#sign({ ...common, type: 'part', state: this.#state(plan.entries) }).id
      }
      case 'shared':
        return at(
          parts.filter((part) => part.body.counter === counter),
          plan.pick,
        )?.id
      case 'any part':
        return at(parts, plan.pick)?.id
      case 'any record':
        return at(this.records, plan.pick)?.id
      case 'foreign':
        return at(this.foreign, plan.pick)?.id
      case 'unknown':
        return unknownId(plan.pick)
    }
  }

  #state(entries: readonly EntryPlan[]): StateEntry[] {
    const state = new Map<string, StateEntry>()
    for (const { namespace, content } of entries) {
      const { platform, identity } = namespaceAt(namespace, this.#key)
      state.set(`${platform} ${identity}`, { content, identity, platform })
    }
    const byBytes = (left: string, right: string) => Buffer.compare(Buffer.from(left), Buffer.from(right))
    return [...state.values()].sort(
      (left, right) => byBytes(left.platform, right.platform) || byBytes(left.identity, right.identity),
    )
  }
}

/** Namespaces whose names contain, extend and outrank one another in every order that one might sort them by. */
function namespaceAt(pick: number, key: TestKey): { platform: string; identity: string } {
  const namespaces: readonly [string, string][] = [
    ['nextid', key.avatar],
    ['twitter', 'alice'],
    ['twitter', 'alic'],
    ['twitter', 'alice '],
    ['twitter', 'alice!'],
    ['twitter', 'é'],
    ['twitter', '\u{1f600}'],
    ['twitter', '\ue000'],
    ['twitter', '\u007f'],
    ['twitter.', 'alice'],
    ['twitte', 'ralice'],
    ['a', '-b'],
    ['a-', 'b'],
    ['a.b', '__proto__'],
    ['__proto__', 'constructor'],
    ['0', '10'],
    ['x'.repeat(64), 'i'.repeat(256)],
    ['x'.repeat(64), 'é'.repeat(128)],
  ]
  const [platform, identity] = namespaces[pick % namespaces.length] ?? ['nextid', key.avatar]
  return { platform, identity }
}

/** The newest where `pick` is 0, which is what shrinking arrives at. */
function at<T>(list: readonly T[], pick: number): T | undefined {
  return list[list.length - 1 - (pick % list.length)]
}

function placeOf(record: TestRecord): Citation {
  return { counter: record.body.counter, id: record.id }
}

function prevOf(record: TestRecord): readonly Citation[] {
  return record.body.type === 'part' ? [] : record.body.prev
}

function counterAfter(prev: readonly Citation[]): number {
  return 1 + Math.max(0, ...prev.map((citation) => citation.counter))
}

function unknownId(pick: number): RecordId {
  return `0x${(pick % 8).toString(16).padStart(64, '0')}`
}
