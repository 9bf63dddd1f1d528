/**
 * What pending records lack: patches their citations, incomplete snapshots their parts.
 *
 * The list of parts that a snapshot lacks only shrinks, so each part is crossed off as it arrives, and nothing is looked up
 * again. A snapshot may name 3,500 parts: only adding it, removing it and listing what is missing cost that much.
 */
import type { Citation, RecordId } from '../record/types.ts'

/** A live record that lacks something. */
export interface PendingRecord extends Citation {
  readonly type: 'patch' | 'snapshot'
  /** Everything that it names: citations, or parts at the snapshot's own counter. */
  readonly names: readonly Citation[]
}

interface Waiting {
  readonly pending: PendingRecord
  /** For a patch, the number of names that it lacked when it came; for a snapshot, the parts that it lacks now. */
  lacks: number
}

interface Need {
  readonly waiting: Set<Waiting>
  /**
   * The greatest counter with which it was named. It never has to go down: a record stops waiting for this id when the id
   * is held, or when a base is above that counter.
   */
  counter: number
  /** The counter of a record that is held under this id but does not fit (another counter or type); -1 for none. */
  heldAt: number
}

export class PendingRecords {
  /** Both are undefined while no record is pending, as for nearly every avatar: two empty maps take 360 bytes. */
  #waiting: Map<RecordId, Waiting> | undefined
  #needs: Map<RecordId, Need> | undefined
  /** Number of pending patches. */
  patches = 0
  /** Number of names of all pending records, repetitions included: a measure of the memory that they take. */
  names = 0
  /** Changes with each change of what is missing, except where the change comes from a new base counter. */
  changes = 0

  /** Incomplete snapshots. */
  get snapshots(): number {
    return (this.#waiting?.size ?? 0) - this.patches
  }

  get(id: RecordId): PendingRecord | undefined {
    return this.#waiting?.get(id)?.pending
  }

  *all(): Iterable<PendingRecord> {
    for (const { pending } of this.#waiting?.values() ?? []) yield pending
  }

  /**
   * @param needs the names that it lacks
   * @param heldAt the counter of a record that is held under a needed id but does not fit; undefined without one
   */
  add(pending: PendingRecord, needs: Iterable<Citation>, heldAt: (id: RecordId) => number | undefined): void {
    const waiting: Waiting = { pending, lacks: 0 }
    this.#waiting ??= new Map()
    this.#waiting.set(pending.id, waiting)
    this.names += pending.names.length
    this.changes += 1
    if (pending.type === 'patch') this.patches += 1
    for (const { id, counter } of needs) {
      waiting.lacks += 1
      this.#needs ??= new Map()
      const need = this.#needs.get(id)
      if (need === undefined) this.#needs.set(id, { waiting: new Set([waiting]), counter, heldAt: heldAt(id) ?? -1 })
      else {
        need.waiting.add(waiting)
        need.counter = Math.max(need.counter, counter)
      }
    }
  }

  /** A live record is held from now on. Never called for a superseded record, which does not count. */
  arrived({ id, counter }: Citation): void {
    const need = this.#needs?.get(id)
    if (need === undefined) return
    need.heldAt = counter
    this.changes += 1
  }

  /**
   * Crosses a part that has arrived off the lists of what snapshots lack.
   *
   * @returns the snapshots that lack nothing now
   */
  crossOff(part: Citation): PendingRecord[] {
    const complete: PendingRecord[] = []
    for (const waiting of this.#lacking(part)) {
      this.#dropNeed(part.id, waiting)
      waiting.lacks -= 1
      if (waiting.lacks === 0) complete.push(waiting.pending)
    }
    return complete
  }

  /** The snapshots that lack this part and nothing else. */
  lackingOnly(part: Citation): PendingRecord[] {
    return this.#lacking(part)
      .filter(({ lacks }) => lacks === 1)
      .map(({ pending }) => pending)
  }

  remove(id: RecordId): void {
    const waiting = this.#waiting?.get(id)
    if (waiting === undefined) return
    this.#waiting?.delete(id)
    if (this.#waiting?.size === 0) this.#waiting = undefined
    this.names -= waiting.pending.names.length
    this.changes += 1
    if (waiting.pending.type === 'patch') this.patches -= 1
    for (const name of waiting.pending.names) this.#dropNeed(name.id, waiting)
  }

  /** The pending records that wait for this id. */
  waitingFor(id: RecordId): PendingRecord[] {
    return Array.from(this.#needs?.get(id)?.waiting ?? [], ({ pending }) => pending)
  }

  /**
   * Ids that a pending record names at or above the base's counter and that no live record has; in no order. A superseded
   * record does not count as held: another node may have dropped it, and `missing` must be the same on both.
   */
  *missing(counter: number): Iterable<RecordId> {
    for (const [id, need] of this.#needs ?? []) if (need.heldAt < counter && need.counter >= counter) yield id
  }

  #lacking({ id, counter }: Citation): Waiting[] {
    return [...(this.#needs?.get(id)?.waiting ?? [])].filter(
      ({ pending }) => pending.type === 'snapshot' && pending.counter === counter,
    )
  }

  #dropNeed(id: RecordId, waiting: Waiting): void {
    const need = this.#needs?.get(id)
    if (need?.waiting.delete(waiting) && need.waiting.size === 0) this.#needs?.delete(id)
    if (this.#needs?.size === 0) this.#needs = undefined
  }
}
