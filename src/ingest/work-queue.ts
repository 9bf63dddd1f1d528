import { yieldToEventLoop } from '../platform/yield.ts'

/** The waiting items of one source, in order. */
interface Lane<T> {
  readonly items: T[]
  /** Items before this index were taken. */
  next: number
}

/** What a lane adds to a batch in one turn at most; one item may exceed the bytes. */
const TURN = { count: 32, bytes: 16_384 }

/**
 * Runs batches one after the other. Items that arrive during a batch gather for the next one.
 *
 * Fair between sources: each has a lane, and a batch takes from the lanes in turn, about the same number of bytes from each. A
 * source waits for the current batch and for about as many bytes of each other source as it sends itself.
 */
export class WorkQueue<T extends object | number> {
  /** In the order of turns. A lane without items is removed. */
  readonly #lanes = new Map<string, Lane<T>>()
  readonly #work: (batch: T[]) => Promise<void>
  readonly #limits: { readonly count: number; readonly bytes: number }
  readonly #bytesOf: (item: T) => number
  #running: Promise<void> | null = null

  /** @param work handles one batch; it must not reject */
  constructor(
    limits: { readonly count: number; readonly bytes: number },
    bytesOf: (item: T) => number,
    work: (batch: T[]) => Promise<void>,
  ) {
    this.#limits = limits
    this.#bytesOf = bytesOf
    this.#work = work
  }

  push(items: Iterable<T>, source: string): void {
    const lane = this.#lanes.get(source) ?? { items: [], next: 0 }
    for (const item of items) lane.items.push(item)
    if (lane.items.length === 0) return
    this.#lanes.set(source, lane)
    this.#running ??= this.#run()
  }

  /** Resolves when nothing waits any more. */
  async idle(): Promise<void> {
    while (this.#running !== null) await this.#running
  }

  async #run(): Promise<void> {
    // Submissions that arrive with this turn of the event loop go together: one message to a worker, one fsync.
    await yieldToEventLoop()
    while (this.#lanes.size > 0) await this.#work(this.#take())
    this.#running = null
  }

  #take(): T[] {
    const batch: T[] = []
    let room = this.#limits.bytes
    for (;;) {
      const turn = this.#lanes.entries().next()
      if (turn.done === true) return batch
      const [source, lane] = turn.value
      const most = this.#lanes.size === 1 ? this.#limits : TURN
      let count = 0
      let bytes = 0
      for (let item = lane.items[lane.next]; item !== undefined; item = lane.items[lane.next]) {
        const size = this.#bytesOf(item)
        if (batch.length > 0 && (size > room || batch.length >= this.#limits.count)) break
        if (count > 0 && (count >= most.count || bytes + size > most.bytes)) break
        batch.push(item)
        lane.next += 1
        count += 1
        bytes += size
        room -= size
      }
      // The next turn is another lane's, in this batch or the next one.
      this.#lanes.delete(source)
      if (lane.next < lane.items.length) this.#lanes.set(source, compact(lane))
      if (count === 0) return batch
    }
  }
}

/** Drops what was taken once it is the greater part, so that each item moves once on average. */
function compact<T>(lane: Lane<T>): Lane<T> {
  if (lane.next * 2 < lane.items.length) return lane
  return { items: lane.items.slice(lane.next), next: 0 }
}
