import type { SignedRecord } from '../record/types.ts'

/** Records and payload bytes of a batch. One record may exceed the bytes. */
export interface BatchLimits {
  readonly records: number
  readonly bytes: number
}

/** Batches under way at once: while one is stored, or its results are noted, the next ones are verified. */
const BATCHES_AT_ONCE = 3

export interface ReadRecord {
  readonly record: SignedRecord
  readonly line: number
}

/**
 * Sends the records of an archive to work in batches, a few at once, and takes the results in the order of the lines.
 */
export class Batches<R> {
  readonly #limits: BatchLimits
  readonly #work: (records: readonly SignedRecord[]) => Promise<readonly R[]>
  readonly #take: (items: readonly ReadRecord[], results: readonly R[]) => void
  readonly #running: { readonly items: readonly ReadRecord[]; readonly results: Promise<readonly R[]> }[] = []
  #batch: ReadRecord[] = []
  #bytes = 0

  /**
   * @param work one result a record, in order
   * @param take called with each batch and its results
   */
  constructor(
    limits: BatchLimits,
    work: (records: readonly SignedRecord[]) => Promise<readonly R[]>,
    take: (items: readonly ReadRecord[], results: readonly R[]) => void,
  ) {
    this.#limits = limits
    this.#work = work
    this.#take = take
  }

  /** Waits while too many batches are under way. @throws the error of an earlier batch */
  async add(item: ReadRecord): Promise<void> {
    const { length } = item.record.payload
    const { records, bytes } = this.#limits
    if (this.#batch.length >= records || (this.#batch.length > 0 && this.#bytes + length > bytes)) await this.#send()
    this.#batch.push(item)
    this.#bytes += length
  }

  /** Resolves once all results are taken. @throws the error of a batch */
  async finish(): Promise<void> {
    if (this.#batch.length > 0) await this.#send()
    while (this.#running.length > 0) await this.#takeFirst()
  }

  /** Waits for the batches under way, whether they succeed or fail. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#running.map(({ results }) => results))
  }

  async #send(): Promise<void> {
    const items = this.#batch
    this.#batch = []
    this.#bytes = 0
    if (this.#running.length >= BATCHES_AT_ONCE) await this.#takeFirst()
    const results = this.#work(items.map(({ record }) => record))
    // Its error is thrown when its turn comes; until then it must not count as unhandled.
    results.catch(() => undefined)
    this.#running.push({ items, results })
  }

  async #takeFirst(): Promise<void> {
    const first = this.#running.shift()
    if (first !== undefined) this.#take(first.items, await first.results)
  }
}
