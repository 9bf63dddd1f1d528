/** What records wait for: pending patches for their citations, incomplete snapshots for their parts. */
import type { Citation, RecordId } from '../record/types.ts'

/** A live record that waits. For a patch `needs` are its unsettled citations, for a snapshot the parts it lacks. */
export interface Waiter {
  readonly id: RecordId
  readonly counter: number
  readonly type: 'patch' | 'snapshot'
  /** All that it names: citations, or parts at the snapshot's own counter. */
  readonly names: readonly Citation[]
}

export class WaitingRoom {
  readonly #waiters = new Map<RecordId, Waiter>()
  readonly #byNeed = new Map<RecordId, { readonly waiters: Set<RecordId>; held: boolean }>()
  #patches = 0

  /** Pending patches. */
  get patches(): number {
    return this.#patches
  }

  /** Incomplete snapshots. */
  get snapshots(): number {
    return this.#waiters.size - this.#patches
  }

  get(id: RecordId): Waiter | undefined {
    return this.#waiters.get(id)
  }

  all(): Iterable<Waiter> {
    return this.#waiters.values()
  }

  /** @param isHeld whether a record that is needed is held all the same, only not as what is needed */
  add(waiter: Waiter, needs: Iterable<RecordId>, isHeld: (id: RecordId) => boolean): void {
    this.#waiters.set(waiter.id, waiter)
    if (waiter.type === 'patch') this.#patches += 1
    for (const need of needs) {
      const waiting = this.#byNeed.get(need)
      if (waiting === undefined) this.#byNeed.set(need, { waiters: new Set([waiter.id]), held: isHeld(need) })
      else waiting.waiters.add(waiter.id)
    }
  }

  /** Notes that a record is held from now on. */
  arrived(id: RecordId): void {
    const waiting = this.#byNeed.get(id)
    if (waiting !== undefined) waiting.held = true
  }

  /** Notes that a record is held no longer. */
  left(id: RecordId): void {
    const waiting = this.#byNeed.get(id)
    if (waiting !== undefined) waiting.held = false
  }

  remove(id: RecordId): void {
    const waiter = this.#waiters.get(id)
    if (waiter === undefined) return
    this.#waiters.delete(id)
    if (waiter.type === 'patch') this.#patches -= 1
    for (const { id: need } of waiter.names) {
      const waiting = this.#byNeed.get(need)
      if (waiting?.waiters.delete(id) && waiting.waiters.size === 0) this.#byNeed.delete(need)
    }
  }

  /** Those that wait for a record of this id. */
  waitingFor(id: RecordId): Waiter[] {
    return this.#resolve(this.#byNeed.get(id)?.waiters ?? [])
  }

  /** Ids at or above `counter` that something names and that are not held, in no order. */
  *missing(counter: number): Iterable<RecordId> {
    for (const [id, { waiters, held }] of this.#byNeed) {
      if (held) continue
      const names = (waiter: Waiter): boolean =>
        waiter.names.some((place) => place.id === id && place.counter >= counter)
      if (this.#resolve(waiters).some(names)) yield id
    }
  }

  #resolve(ids: Iterable<RecordId>): Waiter[] {
    const waiters: Waiter[] = []
    for (const id of ids) waiters.push(this.#waiters.get(id) as Waiter)
    return waiters
  }
}
