/** What a store says of itself, and which avatars are in it. */
import type { Avatar } from '../record/types.ts'
import type { Disk } from './disk.ts'
import { ReplicaError } from './errors.ts'
import * as rows from './rows.ts'

/** @throws ReplicaError `newer`, `wrong_network` */
export async function checkTable(disk: Disk, network: string): Promise<void> {
  const sealed = await disk.get(rows.META_KEY)
  const meta = rows.decodeJson<{ version: number; network: string }>(rows.META_KEY, sealed)
  if (meta === undefined) {
    const value = rows.encodeJson(rows.META_KEY, { version: rows.TABLE_VERSION, network })
    return await disk.batch([{ type: 'put', key: rows.META_KEY, value }])
  }
  if (meta.version > rows.TABLE_VERSION) {
    throw new ReplicaError('newer', 'This data was written by a newer version: upgrade, or choose another location.')
  }
  if (meta.network !== network) {
    throw new ReplicaError(
      'wrong_network',
      `This data is of the network ${meta.network}, not ${network}: choose another location.`,
    )
  }
}

export async function followed(disk: Disk): Promise<Avatar[]> {
  const avatars: Avatar[] = []
  for await (const [key] of disk.rows(rows.AVATAR_KEYS)) avatars.push(rows.avatarOfKey(key))
  return avatars
}
