/**
 * What a replica keeps its rows on: keys are short ASCII texts in byte order, values are bytes.
 *
 * @throws ReplicaError `storage` from the calls
 */
export interface Disk {
  get(key: string): Promise<Uint8Array | undefined>
  /** Rows between two keys, both exclusive, in order; in pages, so that memory stays bounded. */
  rows(range: { readonly after: string; readonly before: string }): AsyncIterable<readonly [string, Uint8Array]>
  /** Whole or not at all, and on disk when it resolves. */
  batch(operations: readonly Operation[]): Promise<void>
  close(): Promise<void>
}

export type Operation =
  | { readonly type: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: string }
