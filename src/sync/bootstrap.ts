import type { Timers } from '../platform/environment.ts'
import type { Bound } from '../negentropy/types.ts'

/** Where a bulk stream that has not ended has come to; kept on disk, a node that is killed goes on from there. */
export interface BootstrapMark {
  read(): Promise<Bound | null>
  write(bound: Bound | null): Promise<void>
}

/** A mark that a restart forgets. */
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
 * A peer with so many times as many records is streamed from, not reconciled with: what is sent twice, at most an eighth,
 * costs no more than the ids would (64 bytes a record, of about 500).
 */
const MUCH_MORE = 8
/** Fewer records are reconciled in two or three round trips. */
const MANY_RECORDS = 1_024

function lacksMuch(ours: number, theirs: number): boolean {
  return theirs - ours >= MANY_RECORDS && theirs >= ours * MUCH_MORE
}

/** Whether this node, when a peer wants to reconcile, should rather open a session itself, to bootstrap. */
export function wantsBulk(ours: number, theirs: number, mark: Bound | null): boolean {
  return lacksMuch(ours, theirs) || (mark !== null && theirs - ours >= MANY_RECORDS)
}

/** Live records of both sides: all, and those below the mark, where there is one. */
export interface Counts {
  readonly ours: number
  readonly theirs: number
  readonly mark: Bound | null
  readonly oursBelow: number
  readonly theirsBelow: number
}

/**
 * From where to stream, or null to reconcile. A mark is only a hint, for the peer may be another one: it counts if this
 * node has nearly all below it and lacks much above it. What is wrong with it the reconciliation finds afterwards.
 */
export function bulkStart({ ours, theirs, mark, oursBelow, theirsBelow }: Counts): Bound | null {
  if (ours === 0) return theirs > 0 ? START : null
  if (mark !== null) {
    const isWholeBelow = oursBelow * MUCH_MORE >= theirsBelow * (MUCH_MORE - 1)
    if (isWholeBelow && theirs - theirsBelow > 2 * (ours - oursBelow)) return mark
  }
  return lacksMuch(ours, theirs) ? START : null
}

/** New bytes in each window that keep others out: less is no more than a second stream would bring. */
const LEASE_WINDOW_MS = 5_000
const LEASE_WINDOW_BYTES = 65_536

/** The right to bootstrap, which one peer's session has at a time, as long as it brings something new. */
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

  /** Bytes that were new came from this peer. */
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
