import type { Avatar, RecordBody, RecordId } from '../../src/record/types.ts'
import type { StoredRecord } from '../../src/store/types.ts'
import { canonicalText } from '../oracle/canonical-text.ts'
import { naiveFold, type NaiveFold } from '../oracle/naive-fold.ts'
import type { Ledger } from './ledger.ts'
import { checkLinkedViews } from './linked-views.ts'
import type { SimulatedNode } from './node.ts'
import type { Process } from './process.ts'
import { Violation } from './violation.ts'
import { viewOf } from '../store/read-whole.ts'
import type { AvatarView } from '../store/read-whole.ts'

/** More than any history here. */
const ALL = 1_000_000
const SUMMARY_TIPS = 16
const SUMMARY_MISSING = 100
/** Times that one look may find broken rows: every look repairs one avatar. */
const MAX_MENDS = 20

interface Expected {
  readonly fold: NaiveFold
  readonly contents: string
}

/** What one node holds and shows of one avatar. */
export interface Look {
  readonly records: readonly StoredRecord[]
  readonly bodies: ReadonlyMap<RecordId, RecordBody>
  readonly view: AvatarView | undefined
  readonly expected: Expected
}

/** Holds what nodes show against the naive fold of what they hold. */
export class Checker {
  readonly #ledger: Ledger
  readonly #folds = new Map<string, Expected>()
  /** What a digest stood for when it was first seen. */
  readonly #contentsOf = new Map<string, string>()
  readonly #bases = new Map<string, number>()
  readonly #dirty = new Map<SimulatedNode, Set<Avatar>>()
  looks = 0

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  /** Something of the avatar has changed on the node. */
  touch(node: SimulatedNode, avatar: Avatar): void {
    const avatars = this.#dirty.get(node)
    if (avatars === undefined) this.#dirty.set(node, new Set([avatar]))
    else avatars.add(avatar)
  }

  /** Looks at all that has changed, on nodes where nobody waits for the disk. */
  async lookAtChanges(): Promise<void> {
    for (const [node, avatars] of this.#dirty) {
      const { process } = node
      if (process === undefined) this.#dirty.delete(node)
      // What cannot be repaired now cannot be looked at.
      const isBroken = node.wasDamaged && node.blockDevice.isFailing
      if (process === undefined || process.disk.isBusy || isBroken) continue
      this.#dirty.delete(node)
      for (const avatar of avatars) await this.look(node, process, avatar)
    }
  }

  /** Reads an avatar on a node and checks all that can be checked of one node. */
  async look(node: SimulatedNode, process: Process, avatar: Avatar): Promise<Look> {
    this.looks += 1
    const look = await node.quietly(() => this.#read(node, process, avatar))
    const at = `${node.name} ${avatar.slice(0, 8)}`
    const contents = look.view === undefined ? '' : this.checkView(at, look.view)
    checkSummary(at, look, contents)
    checkStatuses(at, look)
    const base = look.view?.summary.base?.counter ?? 0
    const life = lifeOf(node, avatar)
    const before = this.#bases.get(life) ?? 0
    if (base < before && !node.wasDamaged) throw new Violation('the base fell', `${at} from ${before} to ${base}`)
    this.#bases.set(life, base)
    await node.quietly(() => checkLinkedViews(node, process, this.#ledger))
    return look
  }

  /** Counter of the base that an avatar has on a node, or had when it was last looked at. */
  baseOf(node: SimulatedNode, avatar: Avatar): number {
    return this.#bases.get(lifeOf(node, avatar)) ?? 0
  }

  /** Whoever shows a digest shows the same contents, whenever and wherever. @returns the contents as text */
  checkView(at: string, view: AvatarView): string {
    const key = `${view.summary.avatar}${view.summary.digest}`
    const contents = contentsText(
      view.namespaces.map(({ json, ...name }) => ({ ...name, content: JSON.parse(json) as unknown })),
    )
    const before = this.#contentsOf.get(key)
    this.#contentsOf.set(key, contents)
    if (before !== undefined && before !== contents) {
      throw new Violation('one digest, two states', `${at} ${view.summary.digest}\n${before}\n${contents}`)
    }
    return contents
  }

  async #read(node: SimulatedNode, { store }: Process, avatar: Avatar): Promise<Look> {
    for (let tries = 0; tries < MAX_MENDS; tries += 1) {
      const before = node.corruptions
      const page = await store.records(avatar, { after: 0, limit: ALL })
      const view = await viewOf(store, avatar)
      if (node.corruptions !== before) continue
      const records = page?.records ?? []
      const bodies = new Map(records.map((record) => [record.id, this.#ledger.body(record)]))
      if (bodies.size !== records.length) throw new Violation('a record is stored twice', `${node.name} ${avatar}`)
      return { records, bodies, view, expected: this.#expected(avatar, bodies) }
    }
    throw new Violation('a broken row is never repaired', `${node.name} ${avatar}`)
  }

  #expected(avatar: Avatar, bodies: ReadonlyMap<RecordId, RecordBody>): Expected {
    const key = `${avatar}${[...bodies.keys()].sort().map((id) => id.slice(2, 14))}`
    let expected = this.#folds.get(key)
    if (expected === undefined) {
      const fold = naiveFold(
        avatar,
        [...bodies].map(([id, body]) => ({ id, body })),
      )
      expected = { fold, contents: contentsText(fold.namespaces) }
      this.#folds.set(key, expected)
    }
    return expected
  }
}

/** Names the time in which a node has kept an avatar. */
function lifeOf(node: SimulatedNode, avatar: Avatar): string {
  return `${node.name} ${avatar} ${node.timesLetGo(avatar)}`
}

function checkSummary(at: string, { records, bodies, view, expected }: Look, contents: string): void {
  const { fold } = expected
  if (view === undefined) {
    if (bodies.size > 0) throw new Violation('an avatar is not shown', at)
    return
  }
  const { summary } = view
  const live = records.filter(({ id }) => fold.statuses.get(id) !== 'superseded')
  const shown = {
    head: summary.head,
    tips: summary.tips.map(({ counter, id }) => `${counter} ${id}`),
    tipsTotal: summary.tipsTotal,
    base: summary.base === null ? null : `${summary.base.counter} ${summary.base.id}`,
    digest: summary.digest,
    pending: summary.pending,
    missing: summary.missing,
    records: summary.records,
    bytes: summary.bytes,
    contents,
  }
  const right: typeof shown = {
    head: fold.head,
    tips: fold.tips.slice(-SUMMARY_TIPS).map(({ counter, id }) => `${counter} ${id}`),
    tipsTotal: fold.tips.length,
    base: fold.base === null ? null : `${fold.base.counter} ${fold.base.id}`,
    digest: fold.digest,
    pending: fold.pending,
    missing: { total: fold.missing.length, ids: fold.missing.slice(0, SUMMARY_MISSING) },
    records: fold.live,
    bytes: live.reduce((sum, { payload, signature }) => sum + payload.length + signature.length, 0),
    contents: expected.contents,
  }
  for (const name of Object.keys(right) as (keyof typeof right)[]) {
    const [is, shouldBe] = [JSON.stringify(shown[name]), JSON.stringify(right[name])]
    if (is !== shouldBe) throw new Violation('a state is not that of its records', `${at} ${name}\n${is}\n${shouldBe}`)
  }
}

function checkStatuses(at: string, { records, expected }: Look): void {
  let before = 0
  for (const { id, status, sequence } of records) {
    const right = expected.fold.statuses.get(id)
    if (status !== right) throw new Violation('a status is wrong', `${at} ${id} is ${status}, not ${right}`)
    if (sequence <= before) throw new Violation('sequences do not ascend', `${at} ${sequence} after ${before}`)
    before = sequence
  }
}

function contentsText(namespaces: readonly { platform: string; identity: string; content: unknown }[]): string {
  return namespaces
    .map(({ platform, identity, content }) => {
      const text = canonicalText(content as Parameters<typeof canonicalText>[0])
      return `${platform} ${identity} ${text}`
    })
    .join('\n')
}
