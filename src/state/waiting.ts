/**
 * What records wait for: pending patches for their citations, incomplete snapshots for their parts.
 *
 * What a snapshot lacks only shrinks, so each part is crossed out as it arrives, and nothing is looked up again. A snapshot
 * may name 3,500 parts: only its coming and going, and a list of all that is missing, cost by that number.
 */
import type { Citation, RecordId } from '../record/types.ts'

/** A live record that waits. */
export interface Waiter {
  readonly id: RecordId
  readonly counter: number
  readonly type: 'patch' | 'snapshot'
  /** All that it names: citations, or parts at the snapshot's own counter. */
  readonly names: readonly Citation[]
}

interface Waiting {
  readonly waiter: Waiter
  /** How many names it waited for when it came; for a snapshot, the parts that it lacks now. */
  lacks: number
}

interface Need {
  readonly waiting: Set<Waiting>
  /**
   * The greatest counter under which it was named. It need not fall: who waits for it no longer found it held, or a base
   * above that counter.
   */
  counter: number
  /** The counter of the record that is held under this id, only not as what is needed; -1 for none. */
  heldAt: number
}

export class WaitingRoom {
  readonly #waiting = new Map<RecordId, Waiting>()
  readonly #needs = new Map<RecordId, Need>()
  #patches = 0
  #names = 0
  #changes = 0

  /** Pending patches. */
  get patches(): number {
    return this.#patches
  }

  /** Incomplete snapshots. */
  get snapshots(): number {
    return this.#waiting.size - this.#patches
  }

  /** Names of all that wait, each time that one is named. */
  get names(): number {
    return this.#names
  }

  /** Another number after each change of what is missing. */
  get changes(): number {
    return this.#changes
  }

  get(id: RecordId): Waiter | undefined {
    return this.#waiting.get(id)?.waiter
  }

  *all(): Iterable<Waiter> {
    for (const { waiter } of this.#waiting.values()) yield waiter
  }

  /**
   * @param needs those of its names that it waits for
   * @param heldAt the counter of a record that is needed and held all the same, only not as what is needed
   */
  add(waiter: Waiter, needs: Iterable<Citation>, heldAt: (id: RecordId) => number | undefined): void {
    const waiting: Waiting = { waiter, lacks: 0 }
    this.#waiting.set(waiter.id, waiting)
    this.#names += waiter.names.length
    this.#changes += 1
    if (waiter.type === 'patch') this.#patches += 1
    for (const { id, counter } of needs) {
      waiting.lacks += 1
      const need = this.#needs.get(id)
      if (need === undefined) this.#needs.set(id, { waiting: new Set([waiting]), counter, heldAt: heldAt(id) ?? -1 })
      else {
        need.waiting.add(waiting)
        need.counter = Math.max(need.counter, counter)
      }
    }
  }

  /** Notes that a live record is held from now on. A superseded record is never noted: it does not count. */
  arrived({ id, counter }: Citation): void {
    const need = this.#needs.get(id)
    if (need === undefined) return
    need.heldAt = counter
    this.#changes += 1
  }

  /**
   * Crosses a part that is held now off what snapshots lack.
   *
   * @returns those that lack nothing any more
   */
  crossOff(part: Citation): Waiter[] {
    const complete: Waiter[] = []
    for (const waiting of this.#lacking(part)) {
      this.#dropNeed(part.id, waiting)
      waiting.lacks -= 1
      if (waiting.lacks === 0) complete.push(waiting.waiter)
    }
    return complete
  }

  /** The snapshots that lack this part, and nothing else. */
  lackingOnly(part: Citation): Waiter[] {
    return this.#lacking(part)
      .filter(({ lacks }) => lacks === 1)
      .map(({ waiter }) => waiter)
  }

  remove(id: RecordId): void {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined) return
    this.#waiting.delete(id)
    this.#names -= waiting.waiter.names.length
    this.#changes += 1
    if (waiting.waiter.type === 'patch') this.#patches -= 1
    for (const name of waiting.waiter.names) this.#dropNeed(name.id, waiting)
  }

  /** Those that wait for a record of this id. */
  waitingFor(id: RecordId): Waiter[] {
    return Array.from(this.#needs.get(id)?.waiting ?? [], ({ waiter }) => waiter)
  }

  /**
   * Ids that something names at or above the base's counter and that no live record has, in no order. A superseded record
   * does not count as held: a node may have dropped it, and what is missing must not depend on that.
   */
  *missing(counter: number): Iterable<RecordId> {
    for (const [id, need] of this.#needs) if (need.heldAt < counter && need.counter >= counter) yield id
  }

  #lacking({ id, counter }: Citation): Waiting[] {
    return [...(this.#needs.get(id)?.waiting ?? [])].filter(
      ({ waiter }) => waiter.type === 'snapshot' && waiter.counter === counter,
    )
  }

  #dropNeed(id: RecordId, waiting: Waiting): void {
    const need = this.#needs.get(id)
    if (need?.waiting.delete(waiting) && need.waiting.size === 0) this.#needs.delete(id)
  }
}
