import { LRUCache } from 'lru-cache'
import type { Timers } from '../platform/environment.ts'
import type { Avatar, RecordId } from '../record/types.ts'
import type { StoreReader } from '../store/types.ts'

/** After a commit, so that what the next ones bring is not told of. */
const DELAY_MS = 100
/** Avatars that are told of together; what more of them lack is left to sync's timer. */
const MAX_AVATARS = 1_024
/** Avatars of which it is remembered what they lack: about 7 KB each at most. */
const MAX_KNOWN = 1_024

/**
 * Follows what avatars lack after commits, and tells of ids that they newly lack.
 *
 * @param newlyMissing told of ids that were not missing before; of at most 100 an avatar
 * @returns ends it
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
  /** What avatars with gaps lack since the last look. */
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
