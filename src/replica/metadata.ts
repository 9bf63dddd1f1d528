/** The metadata of a store: version, network and id; and which avatars are in it. */
import { bytesToHex } from '@noble/hashes/utils.js'
import type { Avatar } from '../record/types.ts'
import type { Disk, Rows } from './disk.ts'
import { ReplicaError } from './errors.ts'
import * as rows from './rows.ts'
import type { Tabs } from './tabs.ts'

const ID_BYTES = 16

interface Meta {
  readonly version: number
  readonly network: string
  /** Random; another one after the store was deleted and created again. Missing in data of version 0.1. */
  readonly id?: string
}

/**
 * Reads the metadata of a store, or writes it to a new store.
 *
 * @returns the id of the store
 * @throws ReplicaError `newer`, `wrong_network`
 */
export async function checkMetadata(disk: Rows, tabs: Tabs, network: string): Promise<string> {
  const meta = (await readMeta(disk)) ?? { version: rows.TABLE_VERSION, network }
  if (meta.version > rows.TABLE_VERSION) {
    throw new ReplicaError(
      'newer',
      'This data was written by a newer version. Upgrade avatar-kv, or choose another location.',
    )
  }
  if (meta.network !== network) {
    throw new ReplicaError(
      'wrong_network',
      `This data is of the network ${meta.network}, not ${network}: choose another location.`,
    )
  }
  return meta.id ?? (await tabs.exclusive('table', () => giveId(disk, meta)))
}

async function readMeta(disk: Rows): Promise<Meta | undefined> {
  return rows.decodeJson<Meta>(rows.META_KEY, await disk.get(rows.META_KEY))
}

async function giveId(disk: Rows, meta: Meta): Promise<string> {
  // Another tab may have been first.
  const there = await readMeta(disk)
  if (there?.id !== undefined) return there.id
  const id = bytesToHex(crypto.getRandomValues(new Uint8Array(ID_BYTES)))
  await disk.batch([{ type: 'put', key: rows.META_KEY, value: rows.encodeJson(rows.META_KEY, { ...meta, id }) }])
  return id
}

/** Avatars that are followed, by their rows. */
export async function storedAvatars(disk: Disk): Promise<Avatar[]> {
  const avatars: Avatar[] = []
  for await (const [key] of disk.rows(rows.AVATAR_KEYS)) avatars.push(rows.avatarOfKey(key))
  return avatars
}
