import { ReplicaError } from './errors.ts'

/**
 * Stores the rows of a replica: keys are short ASCII texts in byte order, values are bytes.
 *
 * @throws ReplicaError `storage` from the calls
 */
export interface Disk extends Rows {
  /**
   * Calls back after the database was closed by something else and was opened again, before anything else is read or written. If
   * the call fails, the operations that wait fail, and the next operation calls it again.
   */
  onReopened(call: (rows: Rows) => Promise<void>): void
  close(): Promise<void>
}

export interface Rows {
  get(key: string): Promise<Uint8Array | undefined>
  /** Rows between two keys, both exclusive, in order. They are read in pages, so that memory is bounded. */
  rows(range: { readonly after: string; readonly before: string }): AsyncIterable<readonly [string, Uint8Array]>
  /** Writes all or nothing. It is on disk when this resolves. */
  batch(operations: readonly Operation[]): Promise<void>
}

/** One operation of a batch. */
export type Operation =
  | { readonly type: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: string }

/** A disk whose operations fail with ReplicaError `closed` once it is closed, whatever the error of `disk` is. */
export function closable(disk: Disk): Disk {
  let isClosed = false

  async function open<T>(run: () => Promise<T>): Promise<T> {
    try {
      if (!isClosed) return await run()
    } catch (error) {
      if (!isClosed) throw error
    }
    throw new ReplicaError('closed', 'The replica was closed.')
  }

  return {
    get: (key) => open(() => disk.get(key)),
    async *rows(range) {
      const rows = disk.rows(range)[Symbol.asyncIterator]()
      for (;;) {
        const next = await open(() => rows.next())
        if (next.done === true) return
        yield next.value
      }
    },
    batch: (operations) => open(() => disk.batch(operations)),
    onReopened: (call) => disk.onReopened(call),
    async close() {
      isClosed = true
      await disk.close()
    },
  }
}
