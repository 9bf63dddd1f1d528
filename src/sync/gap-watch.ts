import { LRUCache } from 'lru-cache'
import type { Timers } from '../platform/environment.ts'
import type { Avatar, RecordId } from '../record/types.ts'
import type { StoreReader } from '../store/types.ts'

/** Delay after a commit: the next commits may bring the missing records. */
const DELAY_MS = 100
/** Most avatars in one report. Sync's timer handles the others. */
const MAX_AVATARS = 1_024
/** Avatars whose missing ids are remembered, about 7 KB each at most. */
const MAX_KNOWN = 1_024

/**
 * Watches which records avatars lack after commits, and reports ids that newly went missing.
 *
 * @param newlyMissing called with ids that were not missing before; at most 100 for each avatar
 * @returns a function that stops watching
 */
export function watchGaps(
  {
    store,
    environment,
  }: {
    readonly store: Pick<StoreReader, 'onCommit'>
    readonly environment: { readonly timers: Timers }
  },
  newlyMissing: (ids: readonly RecordId[]) => void,
): () => void {
  /** The ids that avatars with gaps lacked at the last check. */
  const lacking = new Map<Avatar, readonly RecordId[]>()
  const known = new LRUCache<Avatar, ReadonlySet<RecordId>>({ max: MAX_KNOWN })
  let cancel: (() => void) | null = null

  const forget = store.onCommit((events, summaryOf) => {
    for (const { avatar } of events) {
      const ids = summaryOf(avatar)?.missing.ids ?? []
      if (ids.length > 0) {
        if (lacking.has(avatar) || lacking.size < MAX_AVATARS) lacking.set(avatar, ids)
      } else {
        lacking.delete(avatar)
        known.delete(avatar)
      }
    }
    if (lacking.size > 0) cancel ??= environment.timers.after(DELAY_MS, tell)
  })

  function tell(): void {
    cancel = null
    for (const [avatar, ids] of lacking) {
      const before = known.get(avatar)
      known.set(avatar, new Set(ids))
      const fresh = ids.filter((id) => before?.has(id) !== true)
      if (fresh.length > 0) newlyMissing(fresh)
    }
    lacking.clear()
  }

  return () => {
    forget()
    cancel?.()
  }
}
