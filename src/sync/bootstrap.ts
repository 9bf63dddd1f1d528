import type { Timers } from '../platform/environment.ts'
import type { Bound } from '../negentropy/types.ts'

/** How far an unfinished bulk stream has come. Stored on disk, so that a killed node resumes there. */
export interface BootstrapMark {
  read(): Promise<Bound | null>
  write(bound: Bound | null): Promise<void>
}

/** A mark in memory; a restart loses it. */
export function memoryMark(): BootstrapMark {
  let mark: Bound | null = null
  return {
    read: () => Promise.resolve(mark),
    write(bound) {
      mark = bound
      return Promise.resolve()
    },
  }
}

const START: Bound = { timestamp: 0, id: new Uint8Array(0) }

/**
 * From a peer with this many times as many records, this node streams everything instead of reconciling. At most an eighth is
 * then sent twice, which costs no more than the ids would (64 bytes for each record of about 500).
 */
const MUCH_MORE = 8
/** Below this number of records, reconciling takes two or three round trips. */
const MANY_RECORDS = 1_024

function lacksMuch(ours: number, theirs: number): boolean {
  return theirs - ours >= MANY_RECORDS && theirs >= ours * MUCH_MORE
}

/** Whether this node should refuse a peer that wants to reconcile, and open a session itself, to bootstrap. */
export function wantsBulk(ours: number, theirs: number, mark: Bound | null): boolean {
  return lacksMuch(ours, theirs) || (mark !== null && theirs - ours >= MANY_RECORDS)
}

/** Numbers of live records on both sides: in total, and below the mark if there is one. */
export interface Counts {
  readonly ours: number
  readonly theirs: number
  readonly mark: Bound | null
  readonly oursBelow: number
  readonly theirsBelow: number
}

/**
 * Where to start streaming, or null to reconcile. A mark is only a hint, because the peer may be another one: it is used if
 * this node has nearly all records below it and lacks many above it. If the mark is wrong, a later reconciliation repairs that.
 */
export function bulkStart({ ours, theirs, mark, oursBelow, theirsBelow }: Counts): Bound | null {
  if (ours === 0) return theirs > 0 ? START : null
  if (mark !== null) {
    const isWholeBelow = oursBelow * MUCH_MORE >= theirsBelow * (MUCH_MORE - 1)
    if (isWholeBelow && theirs - theirsBelow > 2 * (ours - oursBelow)) return mark
  }
  return lacksMuch(ours, theirs) ? START : null
}

/** New bytes in each window that keep the lease. With fewer, a second stream would be as fast. */
const LEASE_WINDOW_MS = 5_000
const LEASE_WINDOW_BYTES = 65_536

/** The right to bootstrap. One session has it at a time, as long as it brings new records. */
export class BulkLease {
  readonly #timers: Timers
  #holder: string | undefined
  #bytes = 0
  #cancel: () => void = () => {}

  constructor(timers: Timers) {
    this.#timers = timers
  }

  isFreeFor(peer: string): boolean {
    return this.#holder === undefined || this.#holder === peer
  }

  /** False if another peer has it. */
  take(peer: string): boolean {
    if (!this.isFreeFor(peer)) return false
    this.#holder = peer
    this.#watch()
    return true
  }

  /** Counts new bytes from this peer. */
  brought(peer: string, bytes: number): void {
    if (this.#holder === peer) this.#bytes += bytes
  }

  release(peer: string): void {
    if (this.#holder !== peer) return
    this.#holder = undefined
    this.#cancel()
  }

  #watch(): void {
    this.#bytes = 0
    this.#cancel()
    this.#cancel = this.#timers.after(LEASE_WINDOW_MS, () => {
      if (this.#bytes < LEASE_WINDOW_BYTES) this.#holder = undefined
      else this.#watch()
    })
  }
}
