/** One value that a system stores. */
export interface Entry {
  readonly key: string
  readonly value: string
}

export type SystemName = 'avatar-kv' | 'hyperbee' | 'gun' | 'atproto'

/** What one child process does. */
export interface Job {
  readonly system: SystemName
  /**
   * `write`: writes `total` entries and ends. `source`: writes `total` entries, serves them, and writes more when told to.
   * `sink`: fetches entries from `address` and says when it holds as many as `milestones` name, in ascending order.
   */
  readonly role: 'write' | 'source' | 'sink'
  /** Empty, and of this job alone. */
  readonly folder: string
  /** Where the peers are installed. */
  readonly peers: string
  readonly total: number
  /** Entries a write. */
  readonly batch: number
  /** Whether the bench itself fsyncs the files of a system that does not. */
  readonly fsync?: boolean
  /** Whether signing is left out of the time. Only avatar-kv takes records that were signed elsewhere. */
  readonly presigned?: boolean
  readonly address?: string
  readonly milestones?: readonly number[]
}

/** What a child tells its parent. Times are µs of the monotonic clock, which all processes of a machine share. */
export type Report =
  | { readonly is: 'written'; readonly seconds: number; readonly cpuSeconds: number; readonly bytes: number }
  | { readonly is: 'serving'; readonly address: string }
  | { readonly is: 'started'; readonly at: number }
  | { readonly is: 'up'; readonly at: number }
  | { readonly is: 'held'; readonly count: number; readonly at: number }
  | { readonly is: 'failed'; readonly why: string }

/** An open, empty store of one system. */
export interface Opened {
  /** Signs and stores entries, and resolves when the system says that they are stored. */
  write(entries: readonly Entry[]): Promise<void>
  /** Prepares the signatures of all writes that follow, so that `write` only stores. */
  presign?(batches: readonly (readonly Entry[])[]): void
  /** Lets other processes fetch all that is written, before and after this. Resolves to what a sink needs. */
  serve(): Promise<string>
  close(): Promise<void>
}

/** One of the systems that are compared, as a child process uses it. */
export interface System {
  open(job: Job): Promise<Opened>
  /**
   * Opens an empty store and fetches from `job.address` until the process is killed.
   *
   * @param up called once the store is open and the connection is being made
   * @param held called with the number of entries held, each time that it grows
   */
  fetch(job: Job, up: () => void, held: (count: number) => void): Promise<void>
}
