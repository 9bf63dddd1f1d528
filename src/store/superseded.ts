/**
 * What a new base takes out of the live set. It must be known when the base is committed, for sync compares counts and
 * sums of live records. Rows are read from both sides at once, so that it costs twice the smaller side: a base that
 * replaces a long history reads what is left, one that comes late into a long history reads what it replaces.
 *
 * Measured, with 100,000 records superseded: taking them out of the order of sync in the commit itself makes every writer
 * wait 2.3 s; this way the commit takes 20 ms, and a step in the background about as much.
 */
import type { Avatar } from '../record/types.ts'
import type { Item } from '../negentropy/types.ts'
import { fromHex } from './bytes.ts'
import { LiveSum } from './counts.ts'
import { openRow, walkSteps } from './database.ts'
import { type Database } from './level.ts'
import * as keys from './keys.ts'
import * as rows from './rows.ts'

export type Split =
  /** All that went; `items` where they are no more than could be removed at once. */
  | { readonly gone: LiveSum; readonly items: readonly Item[] | undefined }
  /** All that is left. */
  | { readonly left: LiveSum }

/**
 * Divides the stored records of an avatar with a counter from `from` on by the counter of a new base.
 *
 * @param from the counter of the base before
 * @param atOnce records whose `o` rows the commit removes itself; of more it only leaves word (row `u`)
 */
export async function splitAt(
  db: Database,
  avatar: Avatar,
  from: number,
  base: number,
  atOnce: number,
): Promise<Split> {
  const items: Item[] = []
  const gone = new Side(db, avatar, keys.historyRange(avatar, from, base), (item) => {
    if (items.length <= atOnce) items.push(item)
  })
  const left = new Side(db, avatar, keys.historyRange(avatar, base, Number.MAX_SAFE_INTEGER + 1), () => {})
  try {
    for (;;) {
      if (await gone.readToEnd()) {
        return { gone: gone.sum, items: items.length <= atOnce ? items : undefined }
      }
      // Few are sought out first: then nothing is left to be done later.
      if (gone.sum.records > atOnce && (await left.readToEnd())) return { left: left.sum }
    }
  } finally {
    await gone.close()
    await left.close()
  }
}

class Side {
  readonly sum = new LiveSum()
  readonly #avatar: Avatar
  readonly #steps: ReturnType<typeof walkSteps>
  readonly #each: (item: Item) => void

  constructor(db: Database, avatar: Avatar, range: keys.KeyRange, each: (item: Item) => void) {
    this.#avatar = avatar
    this.#steps = walkSteps(db, range)
    this.#each = each
  }

  /** Reads one step; whether that was the end. */
  async readToEnd(): Promise<boolean> {
    const step = await this.#steps.next()
    if (step.done === true) return true
    for (const [key, row] of step.value) {
      const { createdAt, bytes } = openRow(this.#avatar, 'history', key, row, rows.decodeHistory)
      const id = fromHex(keys.placeInKey(key).id)
      this.sum.add(id, bytes)
      this.#each({ timestamp: createdAt, id })
    }
    return false
  }

  async close(): Promise<void> {
    await this.#steps.return(undefined)
  }
}
