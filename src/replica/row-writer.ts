import type { Avatar, VerifiedRecord } from '../record/types.ts'
import type { Operation, Rows } from './disk.ts'
import * as rows from './rows.ts'
import type { AvatarRow, RecordKind, WriteNote } from './rows.ts'
import type { Tabs } from './tabs.ts'

export type RowWriter = ReturnType<typeof createRowWriter>

/**
 * Writes an avatar's rows, in batches of which the disk has all or nothing.
 *
 * @param rowOf the avatar's row, to be written whenever rows are deleted
 */
export function createRowWriter(
  { disk, tabs }: { readonly disk: Rows; readonly tabs: Tabs },
  avatar: Avatar,
  rowOf: () => AvatarRow,
) {
  /** Deletions of obsolete rows, and repairs of damaged ones, to be written with the next batch. */
  const litter: Operation[] = []

  function putRow(row: AvatarRow): Operation {
    const key = rows.avatarKey(avatar)
    return { type: 'put', key, value: rows.encodeJson(key, row) }
  }

  return {
    hasLitter: (): boolean => litter.length > 0,
    /** Adds an operation to the next batch. */
    later: (operation: Operation): void => void litter.push(operation),
    /** Writes a batch, and tells other tabs. @throws ReplicaError `storage` */
    async commit(operations: readonly Operation[]): Promise<void> {
      const first = litter.splice(0)
      const row = first.length === 0 ? [] : [putRow(rowOf())]
      try {
        await disk.batch([...first, ...row, ...operations])
      } catch (error) {
        litter.unshift(...first)
        throw error
      }
      tabs.tell({ kind: 'changed', avatar })
    },
    putWrite(position: number, record: VerifiedRecord, note: WriteNote): Operation {
      const key = rows.recordKey('q', avatar, position)
      return { type: 'put', key, value: rows.encodeWrite(key, record, note) }
    },
    putRecord(position: number, record: VerifiedRecord): Operation {
      const key = rows.recordKey('r', avatar, position)
      return { type: 'put', key, value: rows.encodeRecord(key, record) }
    },
    putRow,
    drop: (kind: RecordKind, position: number): Operation => ({
      type: 'del',
      key: rows.recordKey(kind, avatar, position),
    }),
    /** Deletes all rows, own writes first: after a crash in between only verified records are left. */
    async clear(maxOperations: number): Promise<void> {
      const first = [rows.avatarKey(avatar)]
      for await (const [key] of disk.rows(rows.recordKeys('q', avatar))) first.push(key)
      await disk.batch(first.map((key): Operation => ({ type: 'del', key })))
      const operations: Operation[] = []
      for await (const [key] of disk.rows(rows.recordKeys('r', avatar))) {
        operations.push({ type: 'del', key })
        if (operations.length >= maxOperations) await disk.batch(operations.splice(0))
      }
      await disk.batch(operations)
      tabs.tell({ kind: 'avatars' })
    },
  }
}
