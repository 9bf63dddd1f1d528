import type { Avatar, VerifiedRecord } from '../record/types.ts'
import type { Operation, Rows } from './disk.ts'
import * as rows from './rows.ts'
import type { AvatarRow, RecordKind, WriteNote } from './rows.ts'
import type { Tabs } from './tabs.ts'

/** Writes an avatar's rows, in batches of which the disk has all or nothing. */
export class RowWriter {
  readonly #disk: Rows
  readonly #tabs: Tabs
  readonly #avatar: Avatar
  readonly #row: () => AvatarRow
  /** Deletions of obsolete rows, and repairs of damaged ones, to be written with the next batch. */
  #litter: Operation[] = []

  /** @param row the avatar's row, to be written whenever rows are deleted */
  constructor({ disk, tabs }: { readonly disk: Rows; readonly tabs: Tabs }, avatar: Avatar, row: () => AvatarRow) {
    this.#disk = disk
    this.#tabs = tabs
    this.#avatar = avatar
    this.#row = row
  }

  get hasLitter(): boolean {
    return this.#litter.length > 0
  }

  /** Adds an operation to the next batch. */
  later(operation: Operation): void {
    this.#litter.push(operation)
  }

  /** Writes a batch, and tells other tabs. @throws ReplicaError `storage` */
  async commit(operations: readonly Operation[]): Promise<void> {
    const litter = this.#litter.splice(0)
    const row = litter.length === 0 ? [] : [this.putRow(this.#row())]
    try {
      await this.#disk.batch([...litter, ...row, ...operations])
    } catch (error) {
      this.#litter.unshift(...litter)
      throw error
    }
    this.#tabs.tell({ kind: 'changed', avatar: this.#avatar })
  }

  putWrite(position: number, record: VerifiedRecord, note: WriteNote): Operation {
    const key = rows.recordKey('q', this.#avatar, position)
    return { type: 'put', key, value: rows.encodeWrite(key, record, note) }
  }

  putRecord(position: number, record: VerifiedRecord): Operation {
    const key = rows.recordKey('r', this.#avatar, position)
    return { type: 'put', key, value: rows.encodeRecord(key, record) }
  }

  putRow(row: AvatarRow): Operation {
    const key = rows.avatarKey(this.#avatar)
    return { type: 'put', key, value: rows.encodeJson(key, row) }
  }

  drop(kind: RecordKind, position: number): Operation {
    return { type: 'del', key: rows.recordKey(kind, this.#avatar, position) }
  }

  /** Deletes all rows, own writes first: after a crash in between only verified records are left. */
  async clear(maxOperations: number): Promise<void> {
    const first = [rows.avatarKey(this.#avatar)]
    for await (const [key] of this.#disk.rows(rows.recordKeys('q', this.#avatar))) first.push(key)
    await this.#disk.batch(first.map((key): Operation => ({ type: 'del', key })))
    const operations: Operation[] = []
    for await (const [key] of this.#disk.rows(rows.recordKeys('r', this.#avatar))) {
      operations.push({ type: 'del', key })
      if (operations.length >= maxOperations) await this.#disk.batch(operations.splice(0))
    }
    await this.#disk.batch(operations)
    this.#tabs.tell({ kind: 'avatars' })
  }
}
