/**
 * One avatar's state, updated record by record (docs/protocol.md, "From records to state").
 *
 * Guarantee: the state is a function of the set of added records, not of their order. The cost of a record depends on what
 * it changes and on what it makes visible, never on the length of the history. A new base costs as much as the content.
 * Not guaranteed: that records are genuine. Callers add only verified records of this avatar, each once.
 */
import type { Avatar, Citation, PartBody, PatchBody, RecordBody, RecordId, SnapshotBody } from '../record/types.ts'
import { Content } from './content.ts'
import { compareCitations } from '../record/order.ts'
import type { Stamp } from './order.ts'
import { PlaceSet } from './place-set.ts'
import type { RecordStatus, RecordToAdd, StateSource, StoredState } from './state-source.ts'
import { supersededUnseen } from './superseded.ts'
import { PendingRecords, type PendingRecord } from './waiting.ts'

export class AvatarState {
  readonly avatar: Avatar
  readonly content: Content
  /** Pending patches and incomplete snapshots. Only `add` changes them. */
  readonly waiting = new PendingRecords()
  readonly #source: StateSource
  readonly #tips: PlaceSet
  #base: Citation | null
  /** What the base names, read on first use. */
  #named: { readonly base: RecordId; readonly parts: ReadonlySet<RecordId>; readonly isErasure: boolean } | undefined

  constructor(avatar: Avatar, source: StateSource, stored?: StoredState) {
    this.avatar = avatar
    this.content = new Content(source)
    this.#source = source
    this.#base = stored?.base ?? null
    this.#tips = new PlaceSet(stored?.tips)
    const pendingRecords = [...(stored?.pendingRecords ?? [])]
    // All pending records are added before any is judged: a patch that cites a pending record is pending too.
    for (const pending of pendingRecords) this.waiting.add(pending, [], () => undefined)
    for (const pending of pendingRecords) {
      const needs = this.#needs(pending)
      this.waiting.remove(pending.id)
      this.#wait(pending, needs)
    }
  }

  get base(): Citation | null {
    return this.#base
  }

  /** Whether the base is an erasure: a snapshot without contents and without parts. */
  get isErased(): boolean {
    return this.#baseNames()?.isErasure === true
  }

  /** All tips in order. */
  get tips(): readonly Citation[] {
    return this.#tips.places
  }

  get head(): number {
    return this.tips.at(-1)?.counter ?? 0
  }

  /** Ids that a pending record names and that no live record has; in no order. */
  missing(): Iterable<RecordId> {
    return this.waiting.missing(this.#base?.counter ?? 0)
  }

  /** The status of a stored record. A part counts once the base names it. */
  status(place: Citation, type: RecordBody['type']): RecordStatus {
    if (place.counter < (this.#base?.counter ?? 0)) return 'superseded'
    if (type === 'part') return this.#baseParts().has(place.id) ? 'stored' : 'pending'
    return this.waiting.get(place.id) === undefined ? 'stored' : 'pending'
  }

  /**
   * False if a record is certainly not stored yet, which saves reading the store: no visible patch cites a tip, and the
   * pending records are in memory.
   */
  mayBeHeld({ id, body }: RecordToAdd): boolean {
    if (body.type !== 'patch' || body.counter < (this.#base?.counter ?? 0)) return true
    return this.waiting.get(id) !== undefined || !body.prev.some((place) => this.#tips.has(place))
  }

  /** The status that a record which is not stored would have if it were added. */
  judge(body: RecordBody): RecordStatus {
    if (body.counter < (this.#base?.counter ?? 0)) return 'superseded'
    if (body.type === 'patch') return body.prev.every((place) => this.#isSettled(place)) ? 'stored' : 'pending'
    if (body.type === 'snapshot') return body.parts.every((id) => this.#isPart(id, body.counter)) ? 'stored' : 'pending'
    return 'pending'
  }

  /** Whether adding this record would make a new base: a complete snapshot, or the last part of one. */
  wouldRebase({ id, body }: RecordToAdd): boolean {
    if (body.type === 'patch') return false
    const place: Citation = { counter: body.counter, id }
    if (body.type === 'part') return this.waiting.lackingOnly(place).some((pending) => this.#isAboveBase(pending))
    return this.#isAboveBase(place) && this.judge(body) === 'stored'
  }

  /**
   * Adds a record that the source already returns as held, that was not added before, and that is not superseded.
   * If it `wouldRebase`, all stored content must have been preloaded.
   *
   * @returns places, ascending, of the records that it superseded although its author had not seen them; usually none
   */
  add({ id, body }: RecordToAdd): Citation[] {
    const place: Citation = { counter: body.counter, id }
    this.waiting.arrived(place)
    if (body.type === 'patch') return this.#addPatch(place, body)
    if (body.type === 'snapshot') return this.#addSnapshot(place, body)
    return this.#addPart(place)
  }

  /** Incomplete snapshots that name this id as a part that they lack. */
  awaiting(id: RecordId): PendingRecord[] {
    return this.waiting.waitingFor(id).filter(({ type }) => type === 'snapshot')
  }

  #addPatch(place: Citation, body: PatchBody): Citation[] {
    const pending: PendingRecord = { ...place, type: 'patch', names: body.prev }
    const needs = this.#needs(pending)
    if (needs.length > 0) this.#wait(pending, needs)
    else this.#show(place, body)
    return []
  }

  #addSnapshot(place: Citation, body: SnapshotBody): Citation[] {
    const names = body.parts.map((id): Citation => ({ counter: body.counter, id }))
    const pending: PendingRecord = { ...place, type: 'snapshot', names }
    const needs = this.#needs(pending)
    if (needs.length === 0) return this.#complete(place, body)
    this.#wait(pending, needs)
    return []
  }

  #wait(pending: PendingRecord, needs: readonly Citation[]): void {
    this.waiting.add(pending, needs, (id) => this.#source.held(id)?.counter)
  }

  #addPart(place: Citation): Citation[] {
    const superseded: Citation[] = []
    for (const pending of this.waiting.crossOff(place)) {
      this.waiting.remove(pending.id)
      superseded.push(...this.#complete(pending, this.#source.body(pending) as SnapshotBody))
    }
    return superseded
  }

  #needs(pending: PendingRecord): Citation[] {
    const isThere =
      pending.type === 'patch'
        ? (place: Citation) => this.#isSettled(place)
        : (place: Citation) => this.#isPart(place.id, pending.counter)
    return pending.names.filter((place) => !isThere(place))
  }

  /** Whether a citation is settled (rule 3 of the protocol). */
  #isSettled(place: Citation): boolean {
    const baseCounter = this.#base?.counter ?? 0
    if (place.counter < baseCounter || this.#tips.has(place)) return true
    const held = this.#source.held(place.id)
    if (held === undefined || held.counter !== place.counter || held.type === 'part') return false
    return this.waiting.get(place.id) === undefined
  }

  #isPart(id: RecordId, counter: number): boolean {
    const held = this.#source.held(id)
    return held?.type === 'part' && held.counter === counter
  }

  /** Makes a patch visible, and then every pending patch that lacked nothing else. */
  #show(place: Citation, body: PatchBody): void {
    const shown = [this.#showOne(place, body)]
    for (let ids = shown.pop(); ids !== undefined; ids = shown.pop()) {
      for (const pending of ids) {
        const ready = this.#takeReady(pending)
        if (ready !== undefined) shown.push(this.#showOne(pending, ready))
      }
    }
  }

  /** @returns pending records that may be visible now too */
  #showOne(place: Citation, body: PatchBody): PendingRecord[] {
    this.content.applyPatch(body, stampOf(place, false))
    for (const cited of body.prev) this.#tips.delete(cited)
    this.#tips.add(place)
    return this.waiting.waitingFor(place.id)
  }

  /** If this is a pending patch and everything that it cites is settled: removes it from the pending records and returns it. */
  #takeReady(pending: PendingRecord): PatchBody | undefined {
    if (pending.type !== 'patch' || this.waiting.get(pending.id) === undefined) return undefined
    if (this.#needs(pending).length > 0) return undefined
    this.waiting.remove(pending.id)
    return this.#source.body(pending) as PatchBody
  }

  #showReady(pendingRecords: Iterable<PendingRecord>): void {
    for (const pending of pendingRecords) {
      const ready = this.#takeReady(pending)
      if (ready !== undefined) this.#show(pending, ready)
    }
  }

  /** A snapshot is complete now (rule 1): it becomes the base, or it can only be cited. */
  #complete(place: Citation, body: SnapshotBody): Citation[] {
    if (this.#isAboveBase(place)) return this.#rebase(place, body)
    this.#showReady(this.waiting.waitingFor(place.id))
    return []
  }

  #isAboveBase(place: Citation): boolean {
    return this.#base === null || compareCitations(place, this.#base) > 0
  }

  #rebase(place: Citation, body: SnapshotBody): Citation[] {
    const superseded = this.#supersededBy(place, body)
    const before = this.#base
    this.#base = { counter: place.counter, id: place.id }
    this.content.applyBase(stampOf(place, true), layersOf(body, place.counter, this.#source))
    for (const tip of [...this.#tips.places]) {
      if (tip.counter < place.counter || tip.id === before?.id) this.#tips.delete(tip)
    }
    this.#tips.add(place)
    for (const pending of [...this.waiting.all()]) {
      if (pending.counter >= place.counter) continue
      this.waiting.remove(pending.id)
    }
    this.#showReady([...this.waiting.all()])
    return superseded
  }

  #supersededBy(place: Citation, body: SnapshotBody): Citation[] {
    const cited = new PlaceSet(body.prev)
    const tips = this.#tips.places.filter((tip) => tip.id !== this.#base?.id)
    const waiting = [...this.waiting.all()].filter(({ type, counter }) => type === 'patch' && counter < place.counter)
    const uncited = [...tips, ...waiting].filter((end) => !cited.has(end))
    if (uncited.length === 0) return []
    return supersededUnseen(place.counter, uncited, body.prev, (at) => {
      if (at.counter < (this.#base?.counter ?? 0)) return undefined
      const held = this.#source.held(at.id)
      return held?.counter === at.counter && held.type === 'patch' ? this.#source.body(at) : undefined
    })
  }

  #baseParts(): ReadonlySet<RecordId> {
    return this.#baseNames()?.parts ?? new Set()
  }

  #baseNames() {
    if (this.#base === null) return undefined
    if (this.#named?.base !== this.#base.id) {
      const { parts, state } = this.#source.body(this.#base) as SnapshotBody
      const isErasure = state.length === 0 && parts.length === 0
      this.#named = { base: this.#base.id, parts: new Set(parts), isErasure }
    }
    return this.#named
  }
}

function stampOf({ counter, id }: Citation, base: boolean): Stamp {
  return { counter, id, base }
}

/** The layers of a complete snapshot, read one by one: its own state, then its parts'. */
function* layersOf(body: SnapshotBody, counter: number, source: StateSource): Iterable<SnapshotBody['state']> {
  yield body.state
  for (const id of body.parts) yield (source.body({ counter, id }) as PartBody).state
}
