/**
 * One avatar in a replica: its rows on disk, and the state that they make, in memory.
 *
 * Guarantees: what belongs together is written in one batch, and own writes are shown once they are on disk, not before; all
 * that writes runs alone over all tabs, on all that other tabs have written.
 */
import type { SignatureEngine } from '../record/engine.ts'
import type { Avatar, RecordId, VerifiedRecord } from '../record/types.ts'
import type { LocalAvatar } from '../client/local-avatar.ts'
import type { CacheUpdate, RecordCache } from '../client/types.ts'
import { createWriteQueue } from '../client/write-queue.ts'
import type { Disk, Operation, Rows } from './disk.ts'
import { ReplicaError } from './errors.ts'
import { Folds, snapshotsFirst } from './folds.ts'
import { NOTE_MS, STORE_RECORDS } from './limits.ts'
import { readRows } from './row-reader.ts'
import { RowWriter } from './row-writer.ts'
import * as rows from './rows.ts'
import type { AvatarRow, WriteNote } from './rows.ts'
import type { Tabs, TabStatus } from './tabs.ts'
import type { ReplicaEvent } from './types.ts'

/** An own write that no node has taken. */
export interface Entry {
  readonly place: number
  readonly record: VerifiedRecord
  readonly note: WriteNote
  /** Whether the row of an own write before it is damaged. */
  readonly isAfterDamage: boolean
}

/** What was written again from memory, in rows. */
export interface Rewritten {
  readonly records: number
  readonly writes: number
  readonly lost: number
}

export interface ShelfComponents {
  readonly disk: Disk
  readonly tabs: Tabs
  readonly engine: SignatureEngine
  readonly network: string
  readonly now: () => number
  readonly emit: (event: ReplicaEvent) => void
}

export class Shelf {
  readonly avatar: Avatar
  readonly #folds: Folds
  /** Hands records that a verified reader has read to the disk. */
  readonly cache: RecordCache
  /** How far following is; in tabs that do not sync, as they were told. */
  status: TabStatus
  /** Whether this tab syncs, and so knows better than the disk how far nodes were read. */
  leading = false
  readonly #parts: ShelfComponents
  readonly #writer: RowWriter
  readonly #turn = createWriteQueue()
  /** In the order in which they are sent. */
  readonly #queue = new Map<RecordId, Entry>()
  /** Places of confirmed records on disk. */
  readonly #places = new Map<RecordId, number>()
  readonly #last = { q: -1, r: -1 }
  readonly #damagedWrites = new Set<string>()
  #damagedRecords = 0
  #row: AvatarRow
  #prunedBase: RecordId | undefined
  #gone = false
  /** Own writes as they were, while all of them are read again. */
  #rereading: readonly Entry[] = []

  private constructor(parts: ShelfComponents, avatar: Avatar, row: AvatarRow) {
    this.#parts = parts
    this.avatar = avatar
    this.#row = row
    this.#writer = new RowWriter(parts, avatar, () => this.#rowNow())
    this.status = { live: false, since: row.verifiedAt ?? parts.now(), verifiedAt: row.verifiedAt }
    this.#folds = new Folds(avatar, parts.network)
    this.cache = { load: () => Promise.resolve(undefined), save: (_, update) => this.#keep(update) }
  }

  /** Reads an avatar from the disk; one that is not there is taken in. */
  static async open(parts: ShelfComponents, avatar: Avatar): Promise<Shelf> {
    const key = rows.avatarKey(avatar)
    const writer = new RowWriter(parts, avatar, newRow)
    let sealed = await parts.disk.get(key)
    let row = rows.decodeJson<AvatarRow>(key, sealed)
    const wasDamaged = sealed !== undefined && row === undefined
    // Two tabs may take it in at once.
    row ??= await parts.tabs.exclusive(lockOf(avatar), async () => {
      sealed = await parts.disk.get(key)
      const there = rows.decodeJson<AvatarRow>(key, sealed)
      const fresh = there ?? newRow()
      if (there === undefined) await writer.commit([writer.putRow(fresh)])
      return fresh
    })
    const shelf = new Shelf(parts, avatar, row)
    if (wasDamaged) {
      shelf.#damaged('row', 'The notes on how far nodes were read are damaged: they are read from the beginning.')
    }
    for (const [node, cursor] of Object.entries(row.cursors)) shelf.confirmed.cursors.set(node, cursor)
    await shelf.#readQueue()
    await shelf.#readRecords()
    await shelf.confirmed.save(() => Promise.resolve())
    if (shelf.#writer.hasLitter) {
      await parts.tabs.exclusive(lockOf(avatar), async () => {
        await shelf.#readOn()
        if (!shelf.#gone) await shelf.#writer.commit([])
      })
    }
    return shelf
  }

  /** Of what nodes have. */
  get confirmed(): LocalAvatar {
    return this.#folds.confirmed
  }

  /** Of that, and of own writes that wait. */
  get shown(): LocalAvatar {
    return this.#folds.shown
  }

  /** Whether it was let go, here or in another tab. */
  get gone(): boolean {
    return this.#gone
  }

  get entries(): readonly Entry[] {
    return [...this.#queue.values()]
  }

  /** Those that are to be sent, in order. */
  get waiting(): readonly Entry[] {
    return this.entries.filter(({ note }) => note.state === 'waiting')
  }

  get queued(): number {
    return this.#queue.size
  }

  get damaged(): number {
    return this.#damagedWrites.size + this.#damagedRecords
  }

  /** Whether nothing was ever heard of the avatar, not even that there is nothing. */
  get isUnseen(): boolean {
    return this.confirmed.size === 0 && this.#row.verifiedAt === null
  }

  /** Whether it builds on an own write whose row is damaged. */
  isOrphan({ record, isAfterDamage }: Entry): boolean {
    return isAfterDamage && this.shown.get(record.id) !== undefined && this.shown.standing(record) === 'pending'
  }

  /** Runs alone over all tabs, and on all that they have written. @throws ReplicaError `not_followed` */
  exclusive<T>(run: () => Promise<T>): Promise<T> {
    return this.#parts.tabs.exclusive(lockOf(this.avatar), () =>
      this.#turn('rows', async () => {
        await this.#readOn()
        if (this.#gone) throw new ReplicaError('not_followed', `${this.avatar} was let go meanwhile.`)
        return await run()
      }),
    )
  }

  /** Takes in what other tabs have written. */
  async catchUp(): Promise<void> {
    await this.#turn('rows', () => this.#readOn())
  }

  /**
   * Puts signed writes behind those that wait. To be called within `exclusive`.
   *
   * @param conflict why they are not to be sent as they are
   */
  async commit(records: readonly VerifiedRecord[], writtenAt: number, conflict?: string): Promise<void> {
    const first = this.#nextPlace()
    const note: WriteNote =
      conflict === undefined
        ? { state: 'waiting', writtenAt, rebases: 0, blind: this.isUnseen }
        : { state: 'conflict', writtenAt, rebases: 0, reason: conflict }
    const entries = records.map((record, at): Entry => ({ place: first + at, record, note, isAfterDamage: false }))
    await this.#writer.commit(entries.map(({ place, record }) => this.#writer.putWrite(place, record, note)))
    this.#enqueue(entries)
    this.#emitChange(records, true)
    if (conflict === undefined) return
    for (const { id } of records) this.#parts.emit({ type: 'conflict', avatar: this.avatar, id, message: conflict })
  }

  /** Moves writes that a node has taken to the confirmed records. */
  async sent(ids: readonly RecordId[], node: string): Promise<void> {
    await this.exclusive(async () => {
      const entries = ids.map((id) => this.#queue.get(id)).filter((entry) => entry !== undefined)
      const base = this.confirmed.base?.counter ?? 0
      const live = entries.filter(({ record }) => record.body.counter >= base)
      const first = this.#nextPlace()
      if (live.length < entries.length) this.#nextGeneration()
      await this.#writer.commit([
        ...entries.map(({ place }) => this.#writer.drop('q', place)),
        ...live.map(({ record }, at) => this.#writer.putRecord(first + at, record)),
        this.#writer.putRow(this.#rowNow()),
      ])
      for (const [at, { record }] of live.entries()) {
        this.#places.set(record.id, first + at)
        this.#last.r = first + at
        this.confirmed.add(record)
      }
      for (const { record } of entries) {
        this.#queue.delete(record.id)
        this.#parts.emit({ type: 'sent', avatar: this.avatar, id: record.id, node })
      }
    })
  }

  /**
   * Replaces writes by others, or changes what is noted of them. To be called within `exclusive`.
   *
   * @param entries those that go
   * @param instead what takes their place: at the end, unless it has a place
   */
  async replace(
    entries: readonly Entry[],
    instead: readonly (Pick<Entry, 'record' | 'note'> & { readonly place?: number })[],
  ): Promise<void> {
    let next = this.#nextPlace()
    const fresh = instead.map(({ record, note, place = next++ }): Entry => ({
      record,
      note,
      place,
      isAfterDamage: false,
    }))
    this.#nextGeneration()
    await this.#writer.commit([
      ...entries.map(({ place }) => this.#writer.drop('q', place)),
      ...fresh.map(({ place, record, note }) => this.#writer.putWrite(place, record, note)),
      this.#writer.putRow(this.#rowNow()),
    ])
    for (const { record } of entries) this.#queue.delete(record.id)
    for (const entry of fresh) {
      this.#queue.set(entry.record.id, entry)
      this.#last.q = Math.max(this.#last.q, entry.place)
    }
    this.#fold()
    const records = fresh.map(({ record }) => record)
    this.#emitChange(records, true)
  }

  /** What is shown without some of the own writes: what these can be signed anew on. */
  without(entries: readonly Entry[]): LocalAvatar {
    const left = new Set(entries.map(({ record }) => record.id))
    const others = this.waiting.map(({ record }) => record).filter(({ id }) => !left.has(id))
    return this.#folds.of(others)
  }

  /** Takes in verified records from elsewhere. @returns those that were new */
  async take(records: readonly VerifiedRecord[]): Promise<VerifiedRecord[]> {
    return await this.exclusive(async () => {
      const fresh = records.filter(({ id }) => !this.#places.has(id) && !this.#queue.has(id))
      const added = fresh.filter((record) => this.confirmed.add(record))
      await this.#store(added, this.#row.cursors)
      return added
    })
  }

  /** Notes that a node shows just what is confirmed here. */
  async verified(): Promise<void> {
    const now = this.#parts.now()
    this.status = { ...this.status, verifiedAt: now }
    if (now - (this.#row.verifiedAt ?? 0) < NOTE_MS) return
    await this.exclusive(async () => {
      this.#row = { ...this.#row, verifiedAt: now }
      await this.#writer.commit([this.#writer.putRow(this.#rowNow())])
    })
  }

  /**
   * Writes all rows again from memory, after the store has lost them. Repeating it does no harm, nor does another tab that does
   * the same: a row is put where it was. Own writes come first, without saying how far nodes were read: if this breaks off, the
   * records are fetched again.
   *
   * @returns how many there were, and how many damaged own writes were lost with the rows
   */
  async rewrite(disk: Rows): Promise<Rewritten> {
    if (this.#gone) return { records: 0, writes: 0, lost: 0 }
    const row = this.#rowNow()
    const writer = new RowWriter({ disk, tabs: this.#parts.tabs }, this.avatar, () => row)
    const entries = [...new Set([...this.#rereading, ...this.#queue.values()])]
    const lost = this.#damagedWrites.size
    this.#damagedWrites.clear()
    await writer.commit([
      ...entries.map(({ place, record, note }) => writer.putWrite(place, record, note)),
      writer.putRow({ ...row, cursors: {} }),
    ])
    const places = [...this.#places]
    for (let at = 0; at < places.length; at += STORE_RECORDS) {
      const batch = places.slice(at, at + STORE_RECORDS)
      await writer.commit(
        batch.flatMap(([id, place]) => {
          const record = this.confirmed.get(id)
          return record === undefined ? [] : [writer.putRecord(place, record)]
        }),
      )
    }
    await writer.commit([writer.putRow(row)])
    return { records: places.length, writes: entries.length, lost }
  }

  /** Gives up rows of own writes that cannot be read. @returns how many there were */
  async discardDamaged(): Promise<number> {
    return await this.exclusive(async () => {
      const keys = [...this.#damagedWrites]
      this.#nextGeneration()
      await this.#writer.commit([
        ...keys.map((key): Operation => ({ type: 'del', key })),
        this.#writer.putRow(this.#rowNow()),
      ])
      this.#damagedWrites.clear()
      return keys.length
    })
  }

  /** Takes all rows away. @throws ReplicaError `unsent` */
  async remove(discard: boolean): Promise<void> {
    await this.exclusive(async () => {
      const unsent = this.#queue.size + this.#damagedWrites.size
      if (!discard && unsent > 0) {
        const what = unsent === 1 ? 'signed write waits' : 'signed writes wait'
        throw new ReplicaError(
          'unsent',
          `${unsent} ${what} that no node has taken. Go online first, or discard what waits.`,
        )
      }
      await this.#writer.clear(STORE_RECORDS)
      this.#gone = true
    })
  }

  /** Called with what a reader has read. */
  async #keep({ added, cursors, base }: CacheUpdate): Promise<void> {
    const known = Object.fromEntries(cursors)
    const isFresh = ({ id }: VerifiedRecord): boolean => !this.#places.has(id) && this.confirmed.get(id) !== undefined
    const isMoved = JSON.stringify(known) !== JSON.stringify(this.#row.cursors)
    if (!isMoved && !added.some(isFresh) && base?.id === this.#prunedBase) return
    await this.exclusive(() => this.#store(added.filter(isFresh), known))
  }

  /** Writes confirmed records in batches; how far nodes were read, with the last of them. */
  async #store(fresh: readonly VerifiedRecord[], cursors: Readonly<Record<string, string>>): Promise<void> {
    const arrived: VerifiedRecord[] = []
    for (let at = 0; at < fresh.length; at += STORE_RECORDS) {
      const batch = fresh.slice(at, at + STORE_RECORDS)
      const first = this.#nextPlace()
      const own = batch.map(({ id }) => this.#queue.get(id)).filter((entry) => entry !== undefined)
      await this.#writer.commit([
        ...batch.map((record, index) => this.#writer.putRecord(first + index, record)),
        ...own.map(({ place }) => this.#writer.drop('q', place)),
      ])
      for (const [index, record] of batch.entries()) {
        this.#places.set(record.id, first + index)
        this.#last.r = first + index
        if (this.#queue.delete(record.id)) this.#emitSent(record.id)
        else arrived.push(record)
      }
    }
    const base = this.confirmed.base?.id
    const superseded =
      base === this.#prunedBase ? [] : [...this.#places].filter(([id]) => this.confirmed.get(id) === undefined)
    this.#row = { ...this.#row, cursors }
    // Among them may be own writes of which another tab has not read yet that they were taken.
    if (superseded.length > 0) this.#nextGeneration()
    await this.#writer.commit([
      ...superseded.map(([, place]) => this.#writer.drop('r', place)),
      this.#writer.putRow(this.#rowNow()),
    ])
    for (const [id] of superseded) this.#places.delete(id)
    this.#prunedBase = base
    if (fresh.length > 0) this.#damagedRecords = 0
    if (arrived.length > 0) this.#emitChange(arrived, false)
  }

  async #readOn(): Promise<void> {
    const { disk, tabs } = this.#parts
    if (tabs.alone || this.#gone) return
    const key = rows.avatarKey(this.avatar)
    const sealed = await disk.get(key)
    const row = rows.decodeJson<AvatarRow>(key, sealed) ?? this.#row
    if (sealed === undefined || row.epoch !== this.#row.epoch) {
      this.#gone = true
      return
    }
    const isReplaced = row.generation !== this.#row.generation
    // What was damaged is fetched again, whatever other tabs know.
    this.#row = this.#damagedRecords > 0 ? { ...row, cursors: {} } : row
    if (isReplaced) {
      this.#rereading = this.entries
      this.#queue.clear()
      this.#damagedWrites.clear()
      this.#last.q = -1
    }
    // Writes first: one that is moved to the records meanwhile is found there.
    const writes = await this.#readQueue()
    this.#rereading = []
    const records = await this.#readRecords()
    if (!this.leading) {
      for (const [node, cursor] of Object.entries(this.#row.cursors)) this.confirmed.cursors.set(node, cursor)
      // They came from the disk.
      await this.confirmed.save(() => Promise.resolve())
    }
    if (isReplaced) this.#fold()
    if (isReplaced || writes.length > 0) this.#emitChange(writes, true)
    if (records.length > 0) this.#emitChange(records, false)
  }

  /** Reads confirmed records that are new on disk. @returns those that were not known as own writes */
  async #readRecords(): Promise<VerifiedRecord[]> {
    const { found, damaged, last } = await readRows(this.#parts, 'r', this.avatar, this.#last.r)
    this.#last.r = Math.max(this.#last.r, last)
    for (const key of damaged) {
      this.#damagedRecords += 1
      this.#damaged('record', 'A record on this disk is damaged: it is fetched again.')
      this.#writer.later({ type: 'del', key })
    }
    if (damaged.length > 0) {
      this.#row = { ...this.#row, cursors: {} }
      this.confirmed.cursors.clear()
    }
    const arrived: VerifiedRecord[] = []
    // What a snapshot supersedes is not folded at all where the snapshot comes first.
    for (const { record, key, place, isRescued } of snapshotsFirst(found, ({ record }) => record)) {
      const isDouble = this.#places.has(record.id)
      if (!isDouble) this.confirmed.add(record)
      if (isDouble ? this.#places.get(record.id) !== place : this.confirmed.get(record.id) === undefined) {
        this.#writer.later({ type: 'del', key })
        continue
      }
      this.#places.set(record.id, place)
      if (isRescued) this.#writer.later(this.#writer.putRecord(place, record))
      if (this.#queue.delete(record.id)) this.#emitSent(record.id)
      else if (!isDouble) arrived.push(record)
    }
    return arrived
  }

  /** Reads own writes that are new on disk. */
  async #readQueue(): Promise<VerifiedRecord[]> {
    const { found, damaged, last } = await readRows(this.#parts, 'q', this.avatar, this.#last.q)
    this.#last.q = Math.max(this.#last.q, last)
    for (const key of damaged) {
      this.#damagedWrites.add(key)
      this.#damaged('write', 'A signed write that waits on this disk is damaged. It is kept as it is, and not sent.')
    }
    const entries: Entry[] = []
    for (const { key, place, record, note, isRescued, isAfterDamage } of found) {
      if (this.#places.has(record.id)) this.#writer.later({ type: 'del', key })
      if (this.#places.has(record.id) || this.#queue.has(record.id)) continue
      const kept = note ?? { state: 'waiting', writtenAt: this.#parts.now(), rebases: 0 }
      if (isRescued) this.#writer.later(this.#writer.putWrite(place, record, kept))
      entries.push({ place, record, note: kept, isAfterDamage })
    }
    this.#enqueue(entries)
    return entries.map(({ record }) => record)
  }

  #enqueue(entries: readonly Entry[]): void {
    for (const entry of entries) {
      this.#queue.set(entry.record.id, entry)
      this.#last.q = Math.max(this.#last.q, entry.place)
    }
    const waiting = entries.filter(({ note }) => note.state === 'waiting').map(({ record }) => record)
    if (waiting.length > 0) this.#folds.show(waiting)
  }

  /** Puts what waits in order, and makes anew what is shown. */
  #fold(): void {
    const ordered = [...this.#queue].sort(([, a], [, b]) => a.place - b.place)
    this.#queue.clear()
    for (const [id, entry] of ordered) this.#queue.set(id, entry)
    this.#folds.showOnly(this.waiting.map(({ record }) => record))
  }

  /** Nobody reads again what he has read, so a place is not given to another row, even when its own is taken away. */
  #nextPlace(): number {
    return Math.max(this.#last.q, this.#last.r, this.#row.greatest ?? -1) + 1
  }

  /** Lets other tabs read all own writes anew. */
  #nextGeneration(): void {
    this.#row = { ...this.#row, generation: this.#row.generation + 1 }
  }

  /** To be written whenever rows are taken away. */
  #rowNow(): AvatarRow {
    this.#row = { ...this.#row, greatest: this.#nextPlace() - 1 }
    return this.#row
  }

  #emitChange(records: readonly VerifiedRecord[], local: boolean): void {
    this.#parts.emit({ type: 'change', avatar: this.avatar, records, local })
  }

  #emitSent(id: RecordId): void {
    this.#parts.emit({ type: 'sent', avatar: this.avatar, id, node: undefined })
  }

  #damaged(what: 'record' | 'write' | 'row', message: string): void {
    this.#parts.emit({ type: 'damaged', avatar: this.avatar, what, message })
  }
}

const lockOf = (avatar: Avatar): string => `avatar ${avatar}`

function newRow(): AvatarRow {
  const bytes = crypto.getRandomValues(new Uint8Array(8))
  const epoch = Array.from(bytes, (each) => each.toString(16).padStart(2, '0')).join('')
  return { epoch, generation: 0, cursors: {}, verifiedAt: null }
}
