import type { Avatar } from '../record/types.ts'
import type { Cell } from '../state/cell.ts'
import type { NamespaceName } from '../state/content.ts'
import { decodeMember } from './cell-codec.ts'
import { openRow } from './database.ts'
import { type Database } from './level.ts'
import * as keys from './keys.ts'
import { withReadSnapshot } from './reader.ts'
import { openContent } from './view.ts'

/**
 * Reads one member of a content, present or deleted, with the stamps of all records that wrote to it.
 *
 * @returns null if no record has written the member, undefined if the namespace does not exist
 * @throws CorruptRowError
 */
export async function readMember(
  db: Database,
  avatar: Avatar,
  namespace: NamespaceName,
  member: string,
): Promise<Cell | null | undefined> {
  const found = await withReadSnapshot(db, async (readSnapshot) => {
    for (const deleted of [false, true]) {
      const key = keys.memberKey(avatar, namespace, member, deleted)
      const row = await db.get(key, { snapshot: readSnapshot })
      if (row !== undefined) return openRow(avatar, 'member', key, row, decodeMember).cell
    }
    return undefined
  })
  return found ?? (await confirmAbsence(db, avatar, namespace))
}

/** Reads the whole namespace: its own row tells whether a member's row was lost. */
async function confirmAbsence(db: Database, avatar: Avatar, namespace: NamespaceName): Promise<null | undefined> {
  const content = await openContent(db, avatar, namespace, (read) => read())
  if (content === undefined) return undefined
  try {
    for await (const _chunk of content.read());
    return null
  } finally {
    await content.close()
  }
}
