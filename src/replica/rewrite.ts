/** Writes the rows of a replica again from memory, after the store has lost them. */
import type { AvatarReplica } from './avatar-replica.ts'
import type { Rows } from './disk.ts'
import { STORE_RECORDS } from './limits.ts'
import { RowWriter } from './row-writer.ts'
import type { Tabs } from './tabs.ts'
import type { ReplicaEvent } from './types.ts'

/** Writes all avatars to a store that has lost them. @returns the event that tells of it */
export async function rewriteAll(
  replicas: readonly AvatarReplica[],
  parts: { readonly disk: Rows; readonly tabs: Tabs },
): Promise<Extract<ReplicaEvent, { type: 'restored' }>> {
  let [records, writes, lost] = [0, 0, 0]
  for (const replica of replicas) {
    if (replica.gone) continue
    const rewritten = await rewrite(replica, parts)
    records += rewritten.records
    writes += rewritten.writes
    lost += rewritten.lost
  }
  const message =
    `The data was deleted while it was in use. ${records} records and ${writes} writes that wait were written again from memory` +
    (lost === 0 ? '.' : `; ${lost} damaged writes are lost.`)
  return { type: 'restored', records, writes, lost, message }
}

/**
 * It is safe to repeat this, also in another tab: each row gets the position that it had. Own writes are written first, without
 * the cursors of nodes: if this is interrupted, the records are fetched again.
 */
async function rewrite(
  replica: AvatarReplica,
  parts: { readonly disk: Rows; readonly tabs: Tabs },
): Promise<{ records: number; writes: number; lost: number }> {
  const { row, writes, positions, lost } = replica.takeForRewrite()
  const writer = new RowWriter(parts, replica.avatar, () => row)
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
  return { records: positions.length, writes: writes.length, lost }
}
