/** Own writes of an avatar that no node has taken, in the order in which they are sent. */
import type { RecordId, VerifiedRecord } from '../record/types.ts'
import type { LocalAvatar } from '../client/local-avatar.ts'
import type { ReplicaViews } from './replica-views.ts'
import type { QueuedWrite } from './rows.ts'

export class OwnWrites {
  readonly #views: ReplicaViews
  readonly #queue = new Map<RecordId, QueuedWrite>()

  /** @param views show the writes that wait */
  constructor(views: ReplicaViews) {
    this.#views = views
  }

  get size(): number {
    return this.#queue.size
  }

  get all(): readonly QueuedWrite[] {
    return [...this.#queue.values()]
  }

  /** Writes that are to be sent. */
  get waiting(): readonly QueuedWrite[] {
    return this.all.filter(({ note }) => note.state === 'waiting')
  }

  has(id: RecordId): boolean {
    return this.#queue.has(id)
  }

  /** The writes among `ids` that are queued. */
  pick(ids: readonly RecordId[]): QueuedWrite[] {
    return ids.map((id) => this.#queue.get(id)).filter((write) => write !== undefined)
  }

  /** Adds writes to the end, and shows those that wait. */
  add(writes: readonly QueuedWrite[]): void {
    for (const write of writes) this.#queue.set(write.record.id, write)
    const waiting = recordsOf(writes.filter(({ note }) => note.state === 'waiting'))
    if (waiting.length > 0) this.#views.show(waiting)
  }

  /** Removes a write that a node has taken: the views show it already. @returns false if it was not queued */
  remove(id: RecordId): boolean {
    return this.#queue.delete(id)
  }

  /** Removes all, and leaves the views as they are until `show`. */
  clear(): void {
    this.#queue.clear()
  }

  replace(gone: readonly QueuedWrite[], fresh: readonly QueuedWrite[]): void {
    for (const { record } of gone) this.#queue.delete(record.id)
    for (const write of fresh) this.#queue.set(write.record.id, write)
    this.show()
  }

  /** Puts the writes in order, and shows those that wait and no others. */
  show(): void {
    const ordered = [...this.#queue].sort(([, a], [, b]) => a.position - b.position)
    this.#queue.clear()
    for (const [id, write] of ordered) this.#queue.set(id, write)
    this.#views.showOnly(recordsOf(this.waiting))
  }

  /** The state without some of the writes. */
  without(writes: readonly QueuedWrite[]): LocalAvatar {
    const left = new Set(recordsOf(writes).map(({ id }) => id))
    return this.#views.of(recordsOf(this.waiting).filter(({ id }) => !left.has(id)))
  }
}

export function recordsOf(writes: readonly QueuedWrite[]): VerifiedRecord[] {
  return writes.map(({ record }) => record)
}
