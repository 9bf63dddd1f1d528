/** Writes the rows of a replica again from memory, after the store has lost them. */
import type { AvatarReplica } from './avatar-replica.ts'
import type { Rows } from './disk.ts'
import { STORE_RECORDS } from './limits.ts'
import { createRowWriter } from './row-writer.ts'
import type { Tabs } from './tabs.ts'
import type { ReplicaEvent } from './types.ts'

/**
 * Writes all avatars to a store that has lost them. It is safe to repeat this, also in another tab: each row gets the position that
 * it had. Own writes are written first, without the cursors of nodes: if this is interrupted, the records are fetched again.
 *
 * @returns the event that tells of it
 */
export async function rewriteAll(
  replicas: readonly AvatarReplica[],
  parts: { readonly disk: Rows; readonly tabs: Tabs },
): Promise<Extract<ReplicaEvent, { type: 'restored' }>> {
  const total = { records: 0, writes: 0, lost: 0 }
  for (const replica of replicas) {
    if (replica.gone) continue
    const { row, writes, positions, lost } = replica.takeForRewrite()
    const writer = createRowWriter(parts, replica.avatar, () => row)
    await writer.commit([
      ...writes.map(({ position, record, note }) => writer.putWrite(position, record, note)),
      writer.putRow({ ...row, cursors: {} }),
    ])
    for (let at = 0; at < positions.length; at += STORE_RECORDS) {
      await writer.commit(
        positions.slice(at, at + STORE_RECORDS).flatMap(([id, position]) => {
          const record = replica.confirmed.get(id)
          return record === undefined ? [] : [writer.putRecord(position, record)]
        }),
      )
    }
    await writer.commit([writer.putRow(row)])
    total.records += positions.length
    total.writes += writes.length
    total.lost += lost
  }
  const { records, writes, lost } = total
  const message =
    `The data was deleted while it was in use. ${records} records and ${writes} writes that wait were written again from memory` +
    (lost === 0 ? '.' : `; ${lost} damaged writes are lost.`)
  return { type: 'restored', ...total, message }
}
