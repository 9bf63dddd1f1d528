import { messageOf } from '../../platform/errors.ts'
import type { Moved } from '../../migrate/migrate.ts'
import type { OpenMigration } from '../../migrate/run.ts'
import type { Avatar } from '../../record/types.ts'

/** What became of an avatar to which the moved one links. */
export interface LinkedMove {
  readonly avatar: Avatar
  readonly outcome: Moved['outcome'] | 'failed'
  /** Why it failed; null if it did not. */
  readonly problem: string | null
}

/** Moves the avatars to which an avatar links, one after the other. A failure does not stop the others. */
export async function moveLinked(
  { staging }: OpenMigration,
  open: (avatar: Avatar) => Promise<OpenMigration>,
): Promise<LinkedMove[]> {
  const { migrate } = await import('../../migrate/migrate.ts')
  const linked = [...new Set((await staging.reader.links(staging.avatar)).map((link) => link.avatar))]
  const moves: LinkedMove[] = []
  for (const avatar of linked) {
    try {
      const migration = await open(avatar)
      try {
        moves.push({ avatar, outcome: (await migrate(migration)).outcome, problem: null })
      } finally {
        await migration.close()
      }
    } catch (error) {
      moves.push({ avatar, outcome: 'failed', problem: messageOf(error) })
    }
  }
  return moves
}
