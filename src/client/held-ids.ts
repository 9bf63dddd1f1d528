import type { RecordId } from '../record/types.ts'
import type { LocalAvatar } from './local-avatar.ts'

/** Ids that a set may exceed those of held records by, before it forgets the ids of records that are held no longer. */
const SPARE_IDS = 1_000

/**
 * Ids of records that are held: those that a snapshot has superseded are forgotten in time. Bounds what a caller who does not
 * ask for the next event, or a node that does not tell of what it hands out, can make the watch keep.
 */
export class HeldIds extends Set<RecordId> {
  readonly #local: () => LocalAvatar | undefined

  constructor(local: () => LocalAvatar | undefined) {
    super()
    this.#local = local
  }

  override add(id: RecordId): this {
    super.add(id)
    const local = this.#local()
    if (local !== undefined && this.size > 2 * local.size + SPARE_IDS) {
      for (const each of this) if (local.get(each) === undefined) this.delete(each)
    }
    return this
  }

  /** Empties the set. */
  take(): RecordId[] {
    const ids = [...this]
    this.clear()
    return ids
  }
}
