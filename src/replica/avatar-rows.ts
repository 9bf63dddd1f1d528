/**
 * The rows of one avatar on disk: which position each record has, how far other tabs have written, and which rows are damaged.
 * The records themselves, and the state that they make, are in `avatar-replica.ts`.
 */
import type { Avatar, Citation, RecordId, VerifiedRecord } from '../record/types.ts'
import type { LocalAvatar } from '../client/local-avatar.ts'
import { openAvatarRow, readAvatarRow, type AvatarComponents } from './avatar-row.ts'
import type { Operation } from './disk.ts'
import { STORE_RECORDS } from './limits.ts'
import { snapshotsFirst } from './own-writes.ts'
import { readRows } from './row-reader.ts'
import { createRowWriter, type RowWriter } from './row-writer.ts'
import type { AvatarRow, QueuedWrite, WriteNote } from './rows.ts'

/** An own write to be written: after all that there are, or at its position if it has one. */
export type NewWrite = Pick<QueuedWrite, 'record' | 'note'> & { readonly position?: number }

export class AvatarRows {
  /** Positions of confirmed records. */
  readonly positions = new Map<RecordId, number>()
  readonly #parts: AvatarComponents
  readonly #writer: RowWriter
  readonly #avatar: Avatar
  /** The greatest positions that were read or written here. */
  readonly #last = { q: -1, r: -1 }
  /** Keys of own writes that cannot be read. */
  readonly #damagedWrites = new Set<string>()
  #damagedRecords = 0
  /** The base whose superseded records were deleted. */
  #prunedBase: RecordId | undefined
  #row: AvatarRow

  private constructor(parts: AvatarComponents, avatar: Avatar, row: AvatarRow) {
    this.#parts = parts
    this.#avatar = avatar
    this.#row = row
    this.#writer = createRowWriter(parts, avatar, () => this.row())
  }

  /** Opens the rows of an avatar. An avatar that is not there is followed from now on. */
  static async open(parts: AvatarComponents, avatar: Avatar): Promise<AvatarRows> {
    const { row, wasDamaged } = await openAvatarRow(parts, avatar)
    const opened = new AvatarRows(parts, avatar, row)
    if (wasDamaged) {
      opened.#tellDamaged(
        'row',
        'The notes on how far nodes were read are damaged: all nodes are read from the beginning.',
      )
    }
    return opened
  }

  get cursors(): AvatarRow['cursors'] {
    return this.#row.cursors
  }

  get verifiedAt(): number | null {
    return this.#row.verifiedAt
  }

  get damagedWrites(): number {
    return this.#damagedWrites.size
  }

  get damaged(): number {
    return this.#damagedWrites.size + this.#damagedRecords
  }

  /** Whether rows are to be deleted that have no meaning any more. */
  get hasLitter(): boolean {
    return this.#writer.hasLitter()
  }

  async cleanUp(): Promise<void> {
    await this.#writer.commit([])
  }

  /** Deletes all rows. */
  async clear(): Promise<void> {
    await this.#writer.clear(STORE_RECORDS)
  }

  /** The avatar's row, to be written whenever rows are deleted. */
  row(): AvatarRow {
    this.#row = { ...this.#row, greatest: this.#nextPosition() - 1 }
    return this.#row
  }

  /** Notes that damaged records were fetched again. */
  repaired(): void {
    this.#damagedRecords = 0
  }

  /**
   * Reads the avatar's row again: other tabs may have changed it.
   *
   * @returns `gone` if the avatar was unfollowed, `replaced` if all own writes have to be read again
   */
  async refresh(): Promise<'gone' | 'replaced' | 'current'> {
    const { row = this.#row, isThere } = await readAvatarRow(this.#parts.disk, this.#avatar)
    if (!isThere || row.epoch !== this.#row.epoch) return 'gone'
    const isReplaced = row.generation !== this.#row.generation
    // A damaged record is fetched again, however far other tabs have read.
    this.#row = this.#damagedRecords > 0 ? { ...row, cursors: {} } : row
    if (!isReplaced) return 'current'
    this.#damagedWrites.clear()
    this.#last.q = -1
    return 'replaced'
  }

  /** Reads confirmed records that are new on disk, and adds them. `isDouble`: the record was read before. */
  async readRecords(
    confirmed: LocalAvatar,
  ): Promise<{ readonly record: VerifiedRecord; readonly isDouble: boolean }[]> {
    const { found, damaged, last } = await readRows(this.#parts, 'r', this.#avatar, this.#last.r)
    this.#last.r = Math.max(this.#last.r, last)
    for (const key of damaged) {
      this.#damagedRecords += 1
      this.#tellDamaged('record', 'A record on this disk is damaged: it is fetched again.')
      this.#writer.later({ type: 'del', key })
    }
    if (damaged.length > 0) {
      this.#row = { ...this.#row, cursors: {} }
      confirmed.cursors.clear()
    }
    const read: { record: VerifiedRecord; isDouble: boolean }[] = []
    for (const { record, key, position, isRescued } of snapshotsFirst(found, (each) => each.record)) {
      const isDouble = this.positions.has(record.id)
      if (!isDouble) confirmed.add(record)
      if (isDouble ? this.positions.get(record.id) !== position : confirmed.get(record.id) === undefined) {
        this.#writer.later({ type: 'del', key })
        continue
      }
      this.positions.set(record.id, position)
      if (isRescued) this.#writer.later(this.#writer.putRecord(position, record))
      read.push({ record, isDouble })
    }
    return read
  }

  /** Reads own writes that are new on disk and that are not queued yet. */
  async readWrites(isQueued: (id: RecordId) => boolean): Promise<QueuedWrite[]> {
    const { found, damaged, last } = await readRows(this.#parts, 'q', this.#avatar, this.#last.q)
    this.#last.q = Math.max(this.#last.q, last)
    for (const key of damaged) {
      this.#damagedWrites.add(key)
      this.#tellDamaged('write', 'A signed write on this disk is damaged. The row is left as it is, and is not sent.')
    }
    const writes: QueuedWrite[] = []
    for (const { key, position, record, note: read, isRescued, isAfterDamage } of found) {
      if (this.positions.has(record.id)) this.#writer.later({ type: 'del', key })
      if (this.positions.has(record.id) || isQueued(record.id)) continue
      const note = read ?? { state: 'waiting', writtenAt: this.#parts.now(), rebases: 0 }
      if (isRescued) this.#writer.later(this.#writer.putWrite(position, record, note))
      writes.push({ position, record, note, isAfterDamage })
    }
    return writes
  }

  /** Deletes rows of own writes that cannot be read. @returns how many there were */
  async discardDamaged(): Promise<number> {
    const keys = [...this.#damagedWrites]
    this.#nextGeneration()
    await this.#writer.commit([
      ...keys.map((key): Operation => ({ type: 'del', key })),
      this.#writer.putRow(this.row()),
    ])
    this.#damagedWrites.clear()
    return keys.length
  }

  /** Writes own writes that are new, after all others. */
  async addWrites(records: readonly VerifiedRecord[], note: WriteNote): Promise<QueuedWrite[]> {
    const writes = this.#placed(records.map((record) => ({ record, note })))
    await this.#writer.commit(writes.map(({ position, record }) => this.#writer.putWrite(position, record, note)))
    this.#wrote(writes)
    return writes
  }

  /** Deletes own writes, and writes others: after all that there are, or at their position if they have one. */
  async replaceWrites(gone: readonly QueuedWrite[], instead: readonly NewWrite[]): Promise<QueuedWrite[]> {
    const writes = this.#placed(instead)
    this.#nextGeneration()
    await this.#writer.commit([
      ...gone.map(({ position }) => this.#writer.drop('q', position)),
      ...writes.map(({ position, record, note }) => this.#writer.putWrite(position, record, note)),
      this.#writer.putRow(this.row()),
    ])
    this.#wrote(writes)
    return writes
  }

  /** Deletes own writes that a node has taken, and writes those that still count as confirmed records. */
  async moveToRecords(writes: readonly QueuedWrite[], live: readonly VerifiedRecord[]): Promise<void> {
    const first = this.#nextPosition()
    if (live.length < writes.length) this.#nextGeneration()
    await this.#writer.commit([
      ...writes.map(({ position }) => this.#writer.drop('q', position)),
      ...live.map((record, at) => this.#writer.putRecord(first + at, record)),
      this.#writer.putRow(this.row()),
    ])
    this.#stored(live, first)
  }

  /** Writes confirmed records, and deletes the rows of own writes among them. */
  async store(records: readonly VerifiedRecord[], own: readonly QueuedWrite[]): Promise<void> {
    const first = this.#nextPosition()
    await this.#writer.commit([
      ...records.map((record, at) => this.#writer.putRecord(first + at, record)),
      ...own.map(({ position }) => this.#writer.drop('q', position)),
    ])
    this.#stored(records, first)
  }

  isPruned(base: Citation | null): boolean {
    return base?.id === this.#prunedBase
  }

  /** Writes the cursors of nodes, and deletes records that the base supersedes. */
  async storeCursors(cursors: AvatarRow['cursors'], confirmed: LocalAvatar): Promise<void> {
    const { base } = confirmed
    const superseded = this.isPruned(base) ? [] : [...this.positions].filter(([id]) => confirmed.get(id) === undefined)
    this.#row = { ...this.#row, cursors }
    // Another tab may not have read yet that a node took one of them, an own write of that tab.
    if (superseded.length > 0) this.#nextGeneration()
    await this.#writer.commit([
      ...superseded.map(([, position]) => this.#writer.drop('r', position)),
      this.#writer.putRow(this.row()),
    ])
    for (const [id] of superseded) this.positions.delete(id)
    this.#prunedBase = base?.id
  }

  /** Writes when a node last showed exactly what is confirmed here, in ms since the Unix epoch. */
  async storeVerifiedAt(verifiedAt: number): Promise<void> {
    this.#row = { ...this.#row, verifiedAt }
    await this.#writer.commit([this.#writer.putRow(this.row())])
  }

  /** @returns how many rows of own writes could not be read, and are not known any more from now on */
  forgetDamagedWrites(): number {
    const lost = this.#damagedWrites.size
    this.#damagedWrites.clear()
    return lost
  }

  #placed(writes: readonly NewWrite[]): QueuedWrite[] {
    let next = this.#nextPosition()
    return writes.map(({ record, note, position = next++ }) => ({ record, note, position, isAfterDamage: false }))
  }

  #wrote(writes: readonly QueuedWrite[]): void {
    for (const { position } of writes) this.#last.q = Math.max(this.#last.q, position)
  }

  #stored(records: readonly VerifiedRecord[], first: number): void {
    for (const [at, { id }] of records.entries()) {
      this.positions.set(id, first + at)
      this.#last.r = first + at
    }
  }

  /** Makes other tabs read all own writes again. */
  #nextGeneration(): void {
    this.#row = { ...this.#row, generation: this.#row.generation + 1 }
  }

  /** A tab reads each position once, so no position is used twice, not even after its row was deleted. */
  #nextPosition(): number {
    return Math.max(this.#last.q, this.#last.r, this.#row.greatest ?? -1) + 1
  }

  #tellDamaged(what: 'record' | 'write' | 'row', message: string): void {
    this.#parts.emit({ type: 'damaged', avatar: this.#avatar, what, message })
  }
}
