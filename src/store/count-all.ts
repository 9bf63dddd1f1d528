import type { Avatar } from '../record/types.ts'
import { NOTHING, plus, type Counts } from './counts.ts'
import { walk } from './database.ts'
import * as keys from './keys.ts'
import type { Database } from './level.ts'
import { decodeSummary } from './rows.ts'
import { openSealed } from './seal.ts'

/** Avatars whose summaries are read at once. */
const STEP_AVATARS = 256

/**
 * Yields all hosted avatars with the counts of their summaries. The counts are undefined if the summary is damaged; the next
 * read of the avatar repairs it.
 */
export async function* countsOfAll(db: Database): AsyncGenerator<readonly (readonly [Avatar, Counts | undefined])[]> {
  let avatars: Avatar[] = []
  for await (const [key] of walk(db, keys.tableRange('a'), { values: false })) {
    if (avatars.push(keys.avatarInKey(key)) < STEP_AVATARS) continue
    yield await countsOf(db, avatars)
    avatars = []
  }
  yield await countsOf(db, avatars)
}

async function countsOf(db: Database, avatars: readonly Avatar[]): Promise<[Avatar, Counts | undefined][]> {
  const found = await db.getMany(avatars.map(keys.summaryKey))
  return avatars.map((avatar, at) => [avatar, openSealed(keys.summaryKey(avatar), found[at], decodeSummary)])
}

/** Sums up the counts of all avatars. */
export async function countAll(db: Database): Promise<Counts & { readonly avatars: number }> {
  let avatars = 0
  let counts = NOTHING
  for await (const step of countsOfAll(db)) {
    avatars += step.length
    for (const [, each] of step) if (each !== undefined) counts = plus(counts, each)
  }
  return { avatars, ...counts }
}
