import type { Environment } from '../platform/environment.ts'
import type { Origin } from '../ingest/types.ts'
import type { SignedRecord } from '../record/types.ts'

/** Records of sync that are passed on by gossip at once, and how many a second more. */
const SYNC_BURST = 512
const SYNC_PER_SECOND = 64
/** From the first record that was not passed on to the call of the peers. */
const NUDGE_AFTER_MS = 5_000

/**
 * Tells the other nodes of records that are new here. What came by gossip is passed on by gossip itself, after its verdict.
 * What came by sync is passed on as long as it is a little, so that neighbours need not wait; a node that takes over a whole
 * store would send it all back to where it came from, so then the peers are called to compare instead.
 */
export function createAnnouncer(components: {
  readonly environment: Pick<Environment, 'clock' | 'timers'>
  /** Passes records on by gossip. */
  readonly publish: (records: readonly SignedRecord[]) => void
  /** Calls all peers soon, to compare. */
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
    if (origin === 'gossip') return
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
