/**
 * The two states of an avatar in a replica, and its own writes that no node has taken, in the order in which they are sent.
 *
 * `confirmed` is the state of the records that nodes have; its digest is compared with theirs. `shown` has own writes that wait
 * too; it is made once something is written here. Both are updated record by record. An own write that is discarded or signed
 * again removes only itself.
 */
import type { Avatar, RecordId, VerifiedRecord } from '../record/types.ts'
import { LocalAvatar } from '../client/local-avatar.ts'
import type { QueuedWrite } from './rows.ts'

export class OwnWrites {
  readonly confirmed: LocalAvatar
  readonly #queue = new Map<RecordId, QueuedWrite>()
  #shown: LocalAvatar | undefined

  constructor(avatar: Avatar, network: string) {
    this.confirmed = new LocalAvatar(avatar, network)
    this.confirmed.onAdded((record) => this.#show([record]))
  }

  get shown(): LocalAvatar {
    return this.#shown ?? this.confirmed
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
    if (waiting.length === 0) return
    if (this.#shown === undefined) this.#shown = this.#with(waiting)
    else this.#show(waiting)
  }

  /** Removes a write that a node has taken: it is shown already. @returns false if it was not queued */
  remove(id: RecordId): boolean {
    return this.#queue.delete(id)
  }

  /** Removes all, and leaves what is shown as it is until `show`. */
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
    this.#shown = this.without([])
  }

  /** The state without some of the writes. */
  without(writes: readonly QueuedWrite[]): LocalAvatar {
    const left = new Set(recordsOf(writes).map(({ id }) => id))
    return this.#with(recordsOf(this.waiting).filter(({ id }) => !left.has(id)))
  }

  #show(records: readonly VerifiedRecord[]): void {
    for (const record of records) this.#shown?.add(record)
    this.#shown?.forgetUnsaved()
  }

  #with(own: readonly VerifiedRecord[]): LocalAvatar {
    const local = new LocalAvatar(this.confirmed.avatar, this.confirmed.network)
    for (const record of snapshotsFirst([...this.confirmed.records], (each) => each)) local.add(record)
    for (const record of own) local.add(record)
    local.forgetUnsaved()
    return local
  }
}

export function recordsOf(writes: readonly QueuedWrite[]): VerifiedRecord[] {
  return writes.map(({ record }) => record)
}

/** Snapshots first: records that they supersede are then skipped, not added and removed. */
export function snapshotsFirst<T>(found: readonly T[], recordOf: (each: T) => VerifiedRecord): T[] {
  const isPatch = (each: T): boolean => recordOf(each).body.type === 'patch'
  return [...found.filter((each) => !isPatch(each)), ...found.filter(isPatch)]
}
