import { ReplicaError } from './errors.ts'

/**
 * What a replica keeps its rows on: keys are short ASCII texts in byte order, values are bytes.
 *
 * @throws ReplicaError `storage` from the calls
 */
export interface Disk extends Rows {
  /**
   * Calls back when the database was closed under the replica and has been opened again, before anything else is read or
   * written. What waits to be done fails where the call fails, and the next thing to be done tries again.
   */
  onReopened(call: (rows: Rows) => Promise<void>): void
  close(): Promise<void>
}

export interface Rows {
  get(key: string): Promise<Uint8Array | undefined>
  /** Rows between two keys, both exclusive, in order; in pages, so that memory stays bounded. */
  rows(range: { readonly after: string; readonly before: string }): AsyncIterable<readonly [string, Uint8Array]>
  /** Whole or not at all, and on disk when it resolves. */
  batch(operations: readonly Operation[]): Promise<void>
}

export type Operation =
  | { readonly type: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: string }

/** What was under way when a disk was closed, or comes later, fails with ReplicaError `closed`, however the disk says so. */
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
