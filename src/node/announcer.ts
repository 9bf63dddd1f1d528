import type { Environment } from '../platform/environment.ts'
import type { Origin } from '../ingest/types.ts'
import type { SignedRecord } from '../record/types.ts'

/** Token bucket for records of sync that are forwarded by gossip: capacity, and tokens per second. */
const SYNC_BURST = 512
const SYNC_PER_SECOND = 64
/** Delay from the first record that was not forwarded until the node asks its peers to reconcile. */
const NUDGE_AFTER_MS = 5_000

/**
 * Returns a function that announces new records to other nodes. It skips records from gossip, which gossip forwards itself, and
 * those from a followed peer, which has passed them on.
 * It publishes records from sync up to a rate, so that neighbours need not wait. Beyond that rate it asks the peers to
 * reconcile: a node that fetches a whole store must not send it all back by gossip.
 */
export function createAnnouncer(components: {
  readonly environment: Pick<Environment, 'clock' | 'timers'>
  /** Publishes records by gossip. */
  readonly publish: (records: readonly SignedRecord[]) => void
  /** Starts a reconciliation with all peers soon. */
  readonly nudge: () => void
}): (records: readonly SignedRecord[], origin: Origin) => void {
  const { environment, publish, nudge } = components
  const { clock, timers } = environment
  let tokens = SYNC_BURST
  let tokensAtMs = clock.now()
  let isNudging = false

  function mayPublish(count: number): boolean {
    const now = clock.now()
    tokens = Math.min(SYNC_BURST, tokens + (Math.max(0, now - tokensAtMs) / 1000) * SYNC_PER_SECOND)
    tokensAtMs = now
    if (tokens < count) return false
    tokens -= count
    return true
  }

  return (records, origin) => {
    if (origin === 'gossip' || origin === 'follow') return
    if (origin !== 'sync' || mayPublish(records.length)) {
      publish(records)
      return
    }
    if (isNudging) return
    isNudging = true
    timers.after(NUDGE_AFTER_MS, () => {
      isNudging = false
      nudge()
    })
  }
}
