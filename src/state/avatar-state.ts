/**
 * One avatar's state, kept up to date record by record (docs/protocol.md, "From records to state").
 *
 * Guarantee: the state is a function of the set of records added, whatever their order; adding one costs by what it
 * touches and by what it makes visible, never by the length of the history. A new base costs the avatar's content.
 * Not guaranteed: that records are genuine. Callers add verified records of this avatar only, each once.
 */
import type { Avatar, Citation, PartBody, PatchBody, RecordBody, RecordId, SnapshotBody } from '../record/types.ts'
import { Content, type ContentSource } from './content.ts'
import { compareCitations } from '../record/order.ts'
import type { Stamp } from './order.ts'
import { PlaceSet } from './place-set.ts'
import { supersededUnseen } from './superseded.ts'
import { WaitingRoom, type Waiter } from './waiting.ts'

/** Place and kind of a record that is held. */
export interface HeldRecord {
  readonly counter: number
  readonly type: RecordBody['type']
}

/** Reads what is held of one avatar. */
export interface StateSource extends ContentSource {
  /** A held record of this avatar (history below the base included), undefined if not held. */
  held(id: RecordId): HeldRecord | undefined
  /** The body of a held record. */
  body(place: Citation): RecordBody
}

/** What is kept of an avatar between commits, its content aside. */
export interface StoredState {
  readonly base: Citation | null
  readonly tips: Iterable<Citation>
  readonly waiters: Iterable<Waiter>
}

export type Standing = 'stored' | 'pending' | 'superseded'

export interface RecordToAdd {
  readonly id: RecordId
  readonly body: RecordBody
}

export class AvatarState {
  readonly avatar: Avatar
  readonly content: Content
  readonly #source: StateSource
  readonly #tips: PlaceSet
  readonly #waiting = new WaitingRoom()
  #base: Citation | null
  /** The parts that the base names, once somebody asked. */
  #namedParts: { readonly base: RecordId; readonly parts: ReadonlySet<RecordId> } | undefined

  constructor(avatar: Avatar, source: StateSource, stored?: StoredState) {
    this.avatar = avatar
    this.content = new Content(source)
    this.#source = source
    this.#base = stored?.base ?? null
    this.#tips = new PlaceSet(stored?.tips)
    const waiters = [...(stored?.waiters ?? [])]
    // Every waiter must be known before any is judged: a patch that cites a pending one is itself pending.
    for (const waiter of waiters) this.#waiting.add(waiter, [], () => undefined)
    for (const waiter of waiters) {
      const needs = this.#needs(waiter)
      this.#waiting.remove(waiter.id)
      this.#wait(waiter, needs)
    }
  }

  get base(): Citation | null {
    return this.#base
  }

  /** All tips in order. */
  get tips(): readonly Citation[] {
    return this.#tips.all
  }

  get head(): number {
    return this.#tips.greatest?.counter ?? 0
  }

  /** Pending patches. */
  get pending(): number {
    return this.#waiting.patches
  }

  get incompleteSnapshots(): number {
    return this.#waiting.snapshots
  }

  /** Records that wait: pending patches and incomplete snapshots. */
  waiters(): Iterable<Waiter> {
    return this.#waiting.all()
  }

  /** Citations and parts that records which wait name, each time that one is named: what they take in memory. */
  get namesWaiting(): number {
    return this.#waiting.names
  }

  /** Ids that are named and that no live record has, in no order. */
  missing(): Iterable<RecordId> {
    return this.#waiting.missing(this.#base?.counter ?? 0)
  }

  /** Another number after each change of what `missing` says, unless the base's counter has changed. */
  get missingChanges(): number {
    return this.#waiting.changes
  }

  /** How a held record stands now. A part counts once the base names it. */
  standing(place: Citation, type: RecordBody['type']): Standing {
    if (place.counter < (this.#base?.counter ?? 0)) return 'superseded'
    if (type === 'part') return this.#baseParts().has(place.id) ? 'stored' : 'pending'
    return this.#waiting.get(place.id) === undefined ? 'stored' : 'pending'
  }

  /**
   * Whether a record might be held already; if not, it certainly is not, and nothing need be read to know. For no visible
   * patch cites a tip, and what waits is known.
   */
  mayBeHeld({ id, body }: RecordToAdd): boolean {
    if (body.type !== 'patch' || body.counter < (this.#base?.counter ?? 0)) return true
    return this.#waiting.get(id) !== undefined || !body.prev.some((place) => this.#tips.has(place))
  }

  /** How a record that is not held would stand if it were added. */
  judge(body: RecordBody): Standing {
    if (body.counter < (this.#base?.counter ?? 0)) return 'superseded'
    if (body.type === 'patch') return body.prev.every((place) => this.#isSettled(place)) ? 'stored' : 'pending'
    if (body.type === 'snapshot') return body.parts.every((id) => this.#isPart(id, body.counter)) ? 'stored' : 'pending'
    return 'pending'
  }

  /** Whether a record that is not held would become the base, or make one of a snapshot, if it were added. */
  wouldRebase({ id, body }: RecordToAdd): boolean {
    if (body.type === 'patch') return false
    const place: Citation = { counter: body.counter, id }
    if (body.type === 'part') return this.#waiting.lackingOnly(place).some((waiter) => this.#isAboveBase(waiter))
    return this.#isAboveBase(place) && this.judge(body) === 'stored'
  }

  /**
   * Takes in a record that its source says is held, that was not added before, and that is not superseded.
   * Where it `wouldRebase`, all stored content must have been preloaded.
   *
   * @returns places of the records that it superseded unseen by its author, ascending; mostly none
   */
  add({ id, body }: RecordToAdd): Citation[] {
    const place: Citation = { counter: body.counter, id }
    this.#waiting.arrived(place)
    if (body.type === 'patch') return this.#addPatch(place, body)
    if (body.type === 'snapshot') return this.#addSnapshot(place, body)
    return this.#addPart(place)
  }

  /** Incomplete snapshots that name a record of this id, which is not held, as their part. */
  awaiting(id: RecordId): Waiter[] {
    return this.#waiting.waitingFor(id).filter(({ type }) => type === 'snapshot')
  }

  #addPatch(place: Citation, body: PatchBody): Citation[] {
    const waiter: Waiter = { ...place, type: 'patch', names: body.prev }
    const needs = this.#needs(waiter)
    if (needs.length > 0) this.#wait(waiter, needs)
    else this.#show(place, body)
    return []
  }

  #addSnapshot(place: Citation, body: SnapshotBody): Citation[] {
    const names = body.parts.map((id): Citation => ({ counter: body.counter, id }))
    const waiter: Waiter = { ...place, type: 'snapshot', names }
    const needs = this.#needs(waiter)
    if (needs.length === 0) return this.#complete(place, body)
    this.#wait(waiter, needs)
    return []
  }

  #wait(waiter: Waiter, needs: readonly Citation[]): void {
    this.#waiting.add(waiter, needs, (id) => this.#source.held(id)?.counter)
  }

  #addPart(place: Citation): Citation[] {
    const superseded: Citation[] = []
    for (const waiter of this.#waiting.crossOff(place)) {
      this.#waiting.remove(waiter.id)
      superseded.push(...this.#complete(waiter, this.#source.body(waiter) as SnapshotBody))
    }
    return superseded
  }

  #needs(waiter: Waiter): Citation[] {
    const isThere =
      waiter.type === 'patch'
        ? (place: Citation) => this.#isSettled(place)
        : (place: Citation) => this.#isPart(place.id, waiter.counter)
    return waiter.names.filter((place) => !isThere(place))
  }

  /** Rule 3: whether a citation is settled. */
  #isSettled(place: Citation): boolean {
    const baseCounter = this.#base?.counter ?? 0
    if (place.counter < baseCounter || this.#tips.has(place)) return true
    const held = this.#source.held(place.id)
    if (held === undefined || held.counter !== place.counter || held.type === 'part') return false
    return this.#waiting.get(place.id) === undefined
  }

  #isPart(id: RecordId, counter: number): boolean {
    const held = this.#source.held(id)
    return held?.type === 'part' && held.counter === counter
  }

  /** Makes a patch visible, and then all that waited only for it. */
  #show(place: Citation, body: PatchBody): void {
    const shown = [this.#showOne(place, body)]
    for (let ids = shown.pop(); ids !== undefined; ids = shown.pop()) {
      for (const waiter of ids) {
        const ready = this.#takeReady(waiter)
        if (ready !== undefined) shown.push(this.#showOne(waiter, ready))
      }
    }
  }

  /** @returns those that may be visible now too */
  #showOne(place: Citation, body: PatchBody): Waiter[] {
    this.content.applyPatch(body, stampOf(place, false))
    for (const cited of body.prev) this.#tips.delete(cited)
    this.#tips.add(place)
    return this.#waiting.waitingFor(place.id)
  }

  /** Takes a patch out of the waiting room if it waits there and everything that it cites is settled. */
  #takeReady(waiter: Waiter): PatchBody | undefined {
    if (waiter.type !== 'patch' || this.#waiting.get(waiter.id) === undefined) return undefined
    if (this.#needs(waiter).length > 0) return undefined
    this.#waiting.remove(waiter.id)
    return this.#source.body(waiter) as PatchBody
  }

  #showReady(waiters: Iterable<Waiter>): void {
    for (const waiter of waiters) {
      const ready = this.#takeReady(waiter)
      if (ready !== undefined) this.#show(waiter, ready)
    }
  }

  /** Rule 1: a snapshot is complete now. Either it becomes the base, or it can only be cited. */
  #complete(place: Citation, body: SnapshotBody): Citation[] {
    if (this.#isAboveBase(place)) return this.#rebase(place, body)
    this.#showReady(this.#waiting.waitingFor(place.id))
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
    for (const tip of [...this.#tips.all]) {
      if (tip.counter < place.counter || tip.id === before?.id) this.#tips.delete(tip)
    }
    this.#tips.add(place)
    for (const waiter of [...this.#waiting.all()]) {
      if (waiter.counter >= place.counter) continue
      this.#waiting.remove(waiter.id)
    }
    this.#showReady([...this.#waiting.all()])
    return superseded
  }

  #supersededBy(place: Citation, body: SnapshotBody): Citation[] {
    const cited = new PlaceSet(body.prev)
    const tips = this.#tips.all.filter((tip) => tip.id !== this.#base?.id)
    const waiting = [...this.#waiting.all()].filter(({ type, counter }) => type === 'patch' && counter < place.counter)
    const uncited = [...tips, ...waiting].filter((end) => !cited.has(end))
    if (uncited.length === 0) return []
    return supersededUnseen(place.counter, uncited, body.prev, (at) => {
      if (at.counter < (this.#base?.counter ?? 0)) return undefined
      const held = this.#source.held(at.id)
      return held?.counter === at.counter && held.type === 'patch' ? this.#source.body(at) : undefined
    })
  }

  #baseParts(): ReadonlySet<RecordId> {
    if (this.#base === null) return new Set()
    if (this.#namedParts?.base !== this.#base.id) {
      const { parts } = this.#source.body(this.#base) as SnapshotBody
      this.#namedParts = { base: this.#base.id, parts: new Set(parts) }
    }
    return this.#namedParts.parts
  }
}

function stampOf(place: Citation, base: boolean): Stamp {
  return { counter: place.counter, id: place.id, base }
}

/** The layers of a complete snapshot, read one by one: its own state, then its parts'. */
function* layersOf(body: SnapshotBody, counter: number, source: StateSource): Iterable<SnapshotBody['state']> {
  yield body.state
  for (const id of body.parts) yield (source.body({ counter, id }) as PartBody).state
}
