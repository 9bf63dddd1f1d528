import type { SignedRecord } from '../record/types.ts'

/** Records and payload bytes of a batch. One record may exceed the bytes. */
export interface BatchLimits {
  readonly records: number
  readonly bytes: number
}

/**
 * Batches under way at once: while some are stored, others are verified, and a commit finds many records that wait, so that it writes
 * the rows that they share once. With 3, an import takes 8 % more CPU.
 */
const BATCHES_AT_ONCE = 8

export interface ReadRecord {
  readonly record: SignedRecord
  readonly line: number
}

/**
 * Sends the records of an archive to work in batches, a few at once, and takes the results in the order of the lines.
 *
 * @param work one result a record, in order
 * @param take called with each batch and its results
 */
export function createBatches<R>(
  limits: BatchLimits,
  work: (records: readonly SignedRecord[]) => Promise<readonly R[]>,
  take: (items: readonly ReadRecord[], results: readonly R[]) => void,
) {
  const running: { readonly items: readonly ReadRecord[]; readonly results: Promise<readonly R[]> }[] = []
  let batch: ReadRecord[] = []
  let bytes = 0

  async function send(): Promise<void> {
    const items = batch
    batch = []
    bytes = 0
    if (running.length >= BATCHES_AT_ONCE) await takeFirst()
    const results = work(items.map(({ record }) => record))
    // Its error is thrown when its turn comes; until then it must not count as unhandled.
    results.catch(() => undefined)
    running.push({ items, results })
  }

  async function takeFirst(): Promise<void> {
    const first = running.shift()
    if (first !== undefined) take(first.items, await first.results)
  }

  return {
    /** Waits while too many batches are under way. @throws the error of an earlier batch */
    async add(item: ReadRecord): Promise<void> {
      const { length } = item.record.payload
      if (batch.length >= limits.records || (batch.length > 0 && bytes + length > limits.bytes)) await send()
      batch.push(item)
      bytes += length
    },
    /** Resolves once all results are taken. @throws the error of a batch */
    async finish(): Promise<void> {
      if (batch.length > 0) await send()
      while (running.length > 0) await takeFirst()
    },
    /** Waits for the batches under way, whether they succeed or fail. */
    async settle(): Promise<void> {
      await Promise.allSettled(running.map(({ results }) => results))
    },
  }
}
