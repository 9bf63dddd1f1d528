/**
 * One avatar in a replica: the records and own writes that its rows hold, and the state that they make, in memory.
 *
 * Guarantees: rows that belong together are written in one batch. An own write is shown once it is on disk, not before. Only one
 * tab at a time writes rows of an avatar, after it has read all that other tabs have written.
 */
import type { Avatar, RecordId, VerifiedRecord } from '../record/types.ts'
import type { LocalAvatar } from '../client/local-avatar.ts'
import type { CacheUpdate, RecordCache } from '../client/types.ts'
import { createWriteQueue } from '../client/write-queue.ts'
import { lockOf, type AvatarComponents } from './avatar-row.ts'
import { AvatarRows, type NewWrite } from './avatar-rows.ts'
import { ReplicaError } from './errors.ts'
import { NOTE_MS, STORE_RECORDS } from './limits.ts'
import { OwnWrites, recordsOf } from './own-writes.ts'
import type { AvatarRow, QueuedWrite, WriteNote } from './rows.ts'
import type { TabStatus } from './tabs.ts'

export class AvatarReplica {
  readonly avatar: Avatar
  /** Stores the records that a verified reader has read. */
  readonly cache: RecordCache
  /** Whether a node is followed. Tabs that do not sync have this from the tab that does. */
  status: TabStatus
  /** Whether this tab syncs, and so knows better than the disk how far nodes were read. */
  leading = false
  readonly #parts: AvatarComponents
  readonly #rows: AvatarRows
  readonly #turn = createWriteQueue()
  readonly #writes: OwnWrites
  /** Whether the avatar was unfollowed, here or in another tab. */
  gone = false
  /** The queue as it was, while all own writes are read again. */
  #rereading: readonly QueuedWrite[] = []

  private constructor(parts: AvatarComponents, avatar: Avatar, rows: AvatarRows) {
    this.#parts = parts
    this.avatar = avatar
    this.#rows = rows
    this.status = { live: false, since: rows.verifiedAt ?? parts.now(), verifiedAt: rows.verifiedAt }
    this.#writes = new OwnWrites(avatar, parts.network)
    this.cache = { load: () => Promise.resolve(undefined), save: (_, update) => this.#save(update) }
  }

  /** Reads an avatar from the disk. An avatar that is not there is followed from now on. */
  static async open(parts: AvatarComponents, avatar: Avatar): Promise<AvatarReplica> {
    const replica = new AvatarReplica(parts, avatar, await AvatarRows.open(parts, avatar))
    replica.#takeCursors()
    await replica.#readWrites()
    await replica.#readRecords()
    replica.confirmed.forgetUnsaved()
    if (replica.#rows.hasLitter) {
      await parts.tabs.exclusive(lockOf(avatar), async () => {
        await replica.#readOn()
        if (!replica.gone) await replica.#rows.cleanUp()
      })
    }
    return replica
  }

  /** The state of the records that nodes have. */
  get confirmed(): LocalAvatar {
    return this.#writes.confirmed
  }

  /** The same, with own writes that wait. */
  get shown(): LocalAvatar {
    return this.#writes.shown
  }

  get entries(): readonly QueuedWrite[] {
    return this.#writes.all
  }

  /** Own writes that are to be sent, in order. */
  get waiting(): readonly QueuedWrite[] {
    return this.#writes.waiting
  }

  get damaged(): number {
    return this.#rows.damaged
  }

  /** Whether no node has ever said anything about the avatar, not even that it has nothing. */
  get isUnseen(): boolean {
    return this.confirmed.size === 0 && this.#rows.verifiedAt === null
  }

  /** Whether a write builds on an own write whose row is damaged. */
  isOrphan({ record, isAfterDamage }: QueuedWrite): boolean {
    return isAfterDamage && this.shown.get(record.id) !== undefined && this.shown.standing(record) === 'pending'
  }

  /** Runs `run` while no tab writes, after reading all that other tabs have written. @throws ReplicaError `not_followed` */
  exclusive<T>(run: () => Promise<T>): Promise<T> {
    return this.#parts.tabs.exclusive(lockOf(this.avatar), () =>
      this.#turn('rows', async () => {
        await this.#readOn()
        if (this.gone) throw new ReplicaError('not_followed', `${this.avatar} was unfollowed meanwhile.`)
        return await run()
      }),
    )
  }

  /** Reads what other tabs have written. */
  async catchUp(): Promise<void> {
    await this.#turn('rows', () => this.#readOn())
  }

  /**
   * Adds signed writes to the end of the queue. Call it within `exclusive`.
   *
   * @param conflict why they are not to be sent as they are
   */
  async commit(records: readonly VerifiedRecord[], writtenAt: number, conflict?: string): Promise<void> {
    const note: WriteNote =
      conflict === undefined
        ? { state: 'waiting', writtenAt, rebases: 0, blind: this.isUnseen }
        : { state: 'conflict', writtenAt, rebases: 0, reason: conflict }
    this.#writes.add(await this.#rows.addWrites(records, note))
    this.#emitChange(records, true)
    if (conflict === undefined) return
    for (const { id } of records) this.#parts.emit({ type: 'conflict', avatar: this.avatar, id, message: conflict })
  }

  /** Moves writes that a node has taken to the confirmed records. */
  async sent(ids: readonly RecordId[], node: string): Promise<void> {
    await this.exclusive(async () => {
      const entries = this.#writes.pick(ids)
      const base = this.confirmed.base?.counter ?? 0
      const live = entries.filter(({ record }) => record.body.counter >= base)
      await this.#rows.moveToRecords(entries, recordsOf(live))
      for (const { record } of live) this.confirmed.add(record)
      for (const { record } of entries) {
        this.#writes.remove(record.id)
        this.#emitSent(record.id, node)
      }
    })
  }

  /**
   * Replaces writes by others, or changes their notes. Call it within `exclusive`.
   *
   * @param entries the writes to delete
   * @param instead the writes to add: at the end of the queue, or at their position if they have one
   */
  async replace(entries: readonly QueuedWrite[], instead: readonly NewWrite[]): Promise<void> {
    const fresh = await this.#rows.replaceWrites(entries, instead)
    this.#writes.replace(entries, fresh)
    this.#emitChange(recordsOf(fresh), true)
  }

  /** The state without some of the own writes: the state that these can be signed on again. */
  without(entries: readonly QueuedWrite[]): LocalAvatar {
    return this.#writes.without(entries)
  }

  /** Stores verified records from elsewhere. @returns the records that were new */
  async take(records: readonly VerifiedRecord[]): Promise<VerifiedRecord[]> {
    return await this.exclusive(async () => {
      const fresh = records.filter(({ id }) => !this.#rows.positions.has(id) && !this.#writes.has(id))
      const added = fresh.filter((record) => this.confirmed.add(record))
      await this.#store(added, this.#rows.cursors)
      return added
    })
  }

  /** Notes that a node shows exactly what is confirmed here. */
  async verified(): Promise<void> {
    const now = this.#parts.now()
    this.status = { ...this.status, verifiedAt: now }
    if (now - (this.#rows.verifiedAt ?? 0) < NOTE_MS) return
    await this.exclusive(() => this.#rows.storeVerifiedAt(now))
  }

  /** All that `rewrite.ts` writes to a store that has lost it. Damaged own writes were only in the store, and are lost. */
  takeForRewrite() {
    return {
      row: this.#rows.row(),
      writes: [...new Set([...this.#rereading, ...this.entries])],
      positions: [...this.#rows.positions],
      lost: this.#rows.forgetDamagedWrites(),
    }
  }

  /** Deletes rows of own writes that cannot be read. @returns how many there were */
  async discardDamaged(): Promise<number> {
    return await this.exclusive(() => this.#rows.discardDamaged())
  }

  /** Deletes all rows. @throws ReplicaError `unsent` */
  async remove(discard: boolean): Promise<void> {
    await this.exclusive(async () => {
      const unsent = this.entries.length + this.#rows.damagedWrites
      if (!discard && unsent > 0) {
        const what = unsent === 1 ? 'signed write waits' : 'signed writes wait'
        throw new ReplicaError(
          'unsent',
          `${unsent} ${what} that no node has taken. Go online first, or discard what waits.`,
        )
      }
      await this.#rows.clear()
      this.gone = true
    })
  }

  /** Called with what a reader has read. */
  async #save({ added, cursors, base }: CacheUpdate): Promise<void> {
    const known = Object.fromEntries(cursors)
    // A node stores a write without effect if it lacks what the write builds on, and may drop it: such a write is sent again.
    const isWithoutEffect = (record: VerifiedRecord): boolean =>
      this.#writes.has(record.id) && this.confirmed.standing(record) === 'pending'
    const isFresh = (record: VerifiedRecord): boolean =>
      !this.#rows.positions.has(record.id) && this.confirmed.get(record.id) !== undefined && !isWithoutEffect(record)
    const isMoved = JSON.stringify(known) !== JSON.stringify(this.#rows.cursors)
    if (!isMoved && !added.some(isFresh) && this.#rows.isPruned(base)) return
    await this.exclusive(() => this.#store(added.filter(isFresh), known))
  }

  /** Writes confirmed records in batches, and the cursors of nodes after them. */
  async #store(fresh: readonly VerifiedRecord[], cursors: AvatarRow['cursors']): Promise<void> {
    const arrived: VerifiedRecord[] = []
    for (let at = 0; at < fresh.length; at += STORE_RECORDS) {
      const batch = fresh.slice(at, at + STORE_RECORDS)
      await this.#rows.store(batch, this.#writes.pick(batch.map(({ id }) => id)))
      for (const record of batch) {
        if (this.#writes.remove(record.id)) this.#emitSent(record.id)
        else arrived.push(record)
      }
    }
    await this.#rows.storeCursors(cursors, this.confirmed)
    if (fresh.length > 0) this.#rows.repaired()
    if (arrived.length > 0) this.#emitChange(arrived, false)
  }

  async #readOn(): Promise<void> {
    if (this.#parts.tabs.alone || this.gone) return
    const status = await this.#rows.refresh()
    if (status === 'gone') {
      this.gone = true
      return
    }
    const isReplaced = status === 'replaced'
    if (isReplaced) {
      this.#rereading = this.entries
      this.#writes.clear()
    }
    // Own writes are read first: a write that becomes a confirmed record meanwhile is then found among the records.
    const writes = await this.#readWrites()
    this.#rereading = []
    const records = await this.#readRecords()
    if (!this.leading) {
      this.#takeCursors()
      // They came from the disk.
      this.confirmed.forgetUnsaved()
    }
    if (isReplaced) this.#writes.show()
    if (isReplaced || writes.length > 0) this.#emitChange(writes, true)
    if (records.length > 0) this.#emitChange(records, false)
  }

  /** @returns records that were not known as own writes */
  async #readRecords(): Promise<VerifiedRecord[]> {
    const arrived: VerifiedRecord[] = []
    for (const { record, isDouble } of await this.#rows.readRecords(this.confirmed)) {
      if (this.#writes.remove(record.id)) this.#emitSent(record.id)
      else if (!isDouble) arrived.push(record)
    }
    return arrived
  }

  async #readWrites(): Promise<VerifiedRecord[]> {
    const writes = await this.#rows.readWrites((id) => this.#writes.has(id))
    this.#writes.add(writes)
    return recordsOf(writes)
  }

  #takeCursors(): void {
    for (const [node, cursor] of Object.entries(this.#rows.cursors)) this.confirmed.cursors.set(node, cursor)
  }

  #emitChange(records: readonly VerifiedRecord[], local: boolean): void {
    this.#parts.emit({ type: 'change', avatar: this.avatar, records, local })
  }

  #emitSent(id: RecordId, node?: string): void {
    this.#parts.emit({ type: 'sent', avatar: this.avatar, id, node })
  }
}
