/** Runs batches one after the other: while one is worked on, all that arrives gathers for the next. */
export class WorkQueue<T> {
  readonly #waiting: T[] = []
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

  push(items: Iterable<T>): void {
    for (const item of items) this.#waiting.push(item)
    if (this.#waiting.length > 0) this.#running ??= this.#run()
  }

  /** Resolves when nothing waits any more. */
  async idle(): Promise<void> {
    while (this.#running !== null) await this.#running
  }

  async #run(): Promise<void> {
    // Submissions of this turn of the event loop go together.
    await Promise.resolve()
    while (this.#waiting.length > 0) await this.#work(this.#take())
    this.#running = null
  }

  #take(): T[] {
    let bytes = 0
    let count = 0
    for (const item of this.#waiting) {
      bytes += this.#bytesOf(item)
      if (count > 0 && (count >= this.#limits.count || bytes > this.#limits.bytes)) break
      count += 1
    }
    return this.#waiting.splice(0, count)
  }
}
