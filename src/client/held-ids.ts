import type { RecordId } from '../record/types.ts'
import type { LocalAvatar } from './local-avatar.ts'

/** Ids that a set may exceed those of held records by, before it forgets the ids of records that are held no longer. */
const SPARE_IDS = 1_000

/**
 * Ids of records that are held: those that a snapshot has superseded are forgotten in time. Bounds what a caller who does not
 * ask for the next event, or a node that does not tell of what it hands out, can make the watch keep.
 */
export class HeldIds {
  readonly #ids = new Set<RecordId>()
  readonly #local: () => LocalAvatar | undefined

  constructor(local: () => LocalAvatar | undefined) {
    this.#local = local
  }

  get size(): number {
    return this.#ids.size
  }

  has(id: RecordId): boolean {
    return this.#ids.has(id)
  }

  add(id: RecordId): void {
    this.#ids.add(id)
    const local = this.#local()
    if (local === undefined || this.#ids.size <= 2 * local.size + SPARE_IDS) return
    for (const each of this.#ids) if (local.get(each) === undefined) this.#ids.delete(each)
  }

  delete(id: RecordId): boolean {
    return this.#ids.delete(id)
  }

  /** Empties the set. */
  take(): RecordId[] {
    const ids = [...this.#ids]
    this.#ids.clear()
    return ids
  }
}
