/** The row of one avatar, by which other tabs see whether it is followed and what changed (rows.ts). */
import { bytesToHex } from '@noble/hashes/utils.js'
import type { SignatureEngine } from '../record/engine.ts'
import type { Avatar } from '../record/types.ts'
import type { Disk } from './disk.ts'
import { createRowWriter } from './row-writer.ts'
import * as rows from './rows.ts'
import type { AvatarRow } from './rows.ts'
import type { Tabs } from './tabs.ts'
import type { ReplicaEvent } from './types.ts'

const EPOCH_BYTES = 8

export interface AvatarComponents {
  readonly disk: Disk
  readonly tabs: Tabs
  readonly engine: SignatureEngine
  readonly network: string
  readonly now: () => number
  readonly emit: (event: ReplicaEvent) => void
}

/** Name of the lock under which the rows of an avatar are written. */
export const lockOf = (avatar: Avatar): string => `avatar ${avatar}`

/** Reads the row of an avatar, or writes one where there is none. `wasDamaged`: the row could not be read. */
export async function openAvatarRow(
  { disk, tabs }: Pick<AvatarComponents, 'disk' | 'tabs'>,
  avatar: Avatar,
): Promise<{ readonly row: AvatarRow; readonly wasDamaged: boolean }> {
  const there = await readAvatarRow(disk, avatar)
  if (there.row !== undefined) return { row: there.row, wasDamaged: false }
  const row = await tabs.exclusive(lockOf(avatar), async () => {
    // Another tab may have begun to follow the avatar at the same time.
    const { row: other } = await readAvatarRow(disk, avatar)
    if (other !== undefined) return other
    const fresh = newRow()
    const writer = createRowWriter({ disk, tabs }, avatar, () => fresh)
    await writer.commit([writer.putRow(fresh)])
    return fresh
  })
  return { row, wasDamaged: there.isThere }
}

/** `row` is undefined where there is none, or where it is damaged. */
export async function readAvatarRow(
  disk: Disk,
  avatar: Avatar,
): Promise<{ readonly row: AvatarRow | undefined; readonly isThere: boolean }> {
  const key = rows.avatarKey(avatar)
  const sealed = await disk.get(key)
  return { row: rows.decodeJson<AvatarRow>(key, sealed), isThere: sealed !== undefined }
}

function newRow(): AvatarRow {
  const epoch = bytesToHex(crypto.getRandomValues(new Uint8Array(EPOCH_BYTES)))
  return { epoch, generation: 0, cursors: {}, verifiedAt: null }
}
