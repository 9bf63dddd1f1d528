import type { Clock } from '../platform/environment.ts'
import type { SessionProgress, SyncOutcome, SyncPhase } from './session.ts'

export type SyncRole = 'initiator' | 'responder'

/** The status of sync with one peer, as `GET /v2/peers` shows it. Counts are over all sessions since this node started. */
export interface PeerSyncHealth {
  readonly peer_id: string
  /** What the current session does; `waiting`: for a free session; `backing_off`: after failures. */
  readonly state: SyncPhase | 'idle' | 'waiting' | 'backing_off'
  /** The role in the current session. */
  readonly role: SyncRole | null
  /** Records that the current session has transferred; `total` if known. */
  readonly progress: { readonly done: number; readonly total: number | null } | null
  /**
   * The last completed reconciliation, as this node saw it. A reconciliation that the peer opened is here only if both were equal
   * at the end; otherwise only the peer knows how it ended.
   */
  readonly last: {
    /** Unix seconds. */
    readonly finished_at: number
    readonly role: SyncRole
    readonly outcome: SyncOutcome
    /** Ids that only one side had at the beginning; for a responder: records that it received or sent. */
    readonly differences: number
    /** Ids that still differed because this node refused them. */
    readonly refused_here: number
    /** Ids that still differed because the peer says that it refused them. */
    readonly refused_there: number
  } | null
  /** Completed sessions. */
  readonly sessions: number
  /** Failures since the last completed session. */
  readonly failures: number
  /** Code of the last failure, until a session completes. */
  readonly error: string | null
  readonly records_in: number
  readonly records_out: number
  readonly bytes_in: number
  readonly bytes_out: number
}

const COUNTS = ['recordsIn', 'recordsOut', 'bytesIn', 'bytesOut'] as const
type Counts = Record<(typeof COUNTS)[number], number>

/** Tracks the sync status of one peer. */
export class HealthKeeper {
  readonly #clock: Clock
  readonly #running = new Map<SessionProgress, SyncRole>()
  readonly #ended: Counts = { recordsIn: 0, recordsOut: 0, bytesIn: 0, bytesOut: 0 }
  #last: PeerSyncHealth['last'] = null
  #sessions = 0
  #failures = 0
  #error: string | null = null

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get failures(): number {
    return this.#failures
  }

  began(progress: SessionProgress, role: SyncRole): void {
    this.#running.set(progress, role)
  }

  ended(progress: SessionProgress): void {
    if (!this.#running.delete(progress)) return
    for (const name of COUNTS) this.#ended[name] += progress[name]
  }

  finished(): void {
    this.#sessions += 1
    this.#failures = 0
    this.#error = null
  }

  reconciled(last: Omit<NonNullable<PeerSyncHealth['last']>, 'finished_at'>): void {
    this.#last = { finished_at: Math.floor(this.#clock.now() / 1_000), ...last }
  }

  /** @param isSevere false if the session made progress before it failed */
  failed(code: string, isSevere: boolean): void {
    this.#error = code
    if (isSevere) this.#failures += 1
  }

  show(peer: string, isWaiting: boolean): PeerSyncHealth {
    const [running] = this.#running
    const idle = isWaiting ? 'waiting' : this.#failures > 0 ? 'backing_off' : 'idle'
    const sum = { ...this.#ended }
    for (const progress of this.#running.keys()) for (const name of COUNTS) sum[name] += progress[name]
    return {
      peer_id: peer,
      state: running?.[0].phase ?? idle,
      role: running?.[1] ?? null,
      progress: running === undefined ? null : { done: running[0].done, total: running[0].total },
      last: this.#last,
      sessions: this.#sessions,
      failures: this.#failures,
      error: this.#error,
      records_in: sum.recordsIn,
      records_out: sum.recordsOut,
      bytes_in: sum.bytesIn,
      bytes_out: sum.bytesOut,
    }
  }
}
