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

export type HealthKeeper = ReturnType<typeof createHealthKeeper>

/** Tracks the sync status of one peer. */
export function createHealthKeeper(clock: Clock) {
  const running = new Map<SessionProgress, SyncRole>()
  /** Totals of the sessions that have ended. */
  const totals = { recordsIn: 0, recordsOut: 0, bytesIn: 0, bytesOut: 0 }
  let last: PeerSyncHealth['last'] = null
  let sessions = 0
  let failures = 0
  let error: string | null = null

  return {
    get failures() {
      return failures
    },
    began: (progress: SessionProgress, role: SyncRole) => void running.set(progress, role),
    ended(progress: SessionProgress): void {
      if (!running.delete(progress)) return
      for (const name of COUNTS) totals[name] += progress[name]
    },
    finished(): void {
      sessions += 1
      failures = 0
      error = null
    },
    reconciled(report: Omit<NonNullable<PeerSyncHealth['last']>, 'finished_at'>): void {
      last = { finished_at: Math.floor(clock.now() / 1_000), ...report }
    },
    /** @param isSevere false if the session made progress before it failed */
    failed(code: string, isSevere: boolean): void {
      error = code
      if (isSevere) failures += 1
    },
    show(peer: string, isWaiting: boolean): PeerSyncHealth {
      const [current] = running
      const idle = isWaiting ? 'waiting' : failures > 0 ? 'backing_off' : 'idle'
      const sum = { ...totals }
      for (const progress of running.keys()) for (const name of COUNTS) sum[name] += progress[name]
      return {
        peer_id: peer,
        state: current?.[0].phase ?? idle,
        role: current?.[1] ?? null,
        progress: current === undefined ? null : { done: current[0].done, total: current[0].total },
        ...{ last, sessions, failures, error },
        records_in: sum.recordsIn,
        records_out: sum.recordsOut,
        bytes_in: sum.bytesIn,
        bytes_out: sum.bytesOut,
      }
    },
  }
}
