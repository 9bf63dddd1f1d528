import type { Avatar } from '../record/types.ts'
import type { Cell } from '../state/cell.ts'
import type { NamespaceName } from '../state/content.ts'
import { decodeMember } from './cell-codec.ts'
import { openRow, type Database } from './database.ts'
import * as keys from './keys.ts'
import { atMoment, readContent } from './reader.ts'

/**
 * One member of a content with the stamps of all that wrote to it, whether it is there or was deleted.
 *
 * @throws CorruptRowError
 */
export async function readMember(
  db: Database,
  avatar: Avatar,
  namespace: NamespaceName,
  member: string,
): Promise<Cell | undefined> {
  const found = await atMoment(db, async (moment) => {
    for (const deleted of [false, true]) {
      const key = keys.memberKey(avatar, namespace, member, deleted)
      const row = await db.get(key, { snapshot: moment })
      if (row !== undefined) return openRow(avatar, 'member', key, row, decodeMember).cell
    }
    return undefined
  })
  // That there is none must not be for the loss of its row: the whole namespace tells.
  if (found === undefined) await readContent(db, avatar, namespace)
  return found
}
