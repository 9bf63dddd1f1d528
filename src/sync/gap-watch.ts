import { LRUCache } from 'lru-cache'
import type { Timers } from '../environment.ts'
import type { Logger } from '../observe/types.ts'
import type { Avatar, RecordId } from '../record/types.ts'
import type { StoreReader } from '../store/types.ts'

/** After a commit, so that a batch of them costs one look at each avatar. */
const DELAY_MS = 100
/** Avatars looked at a time; more of them are left to sync's timer. */
const MAX_AVATARS = 1_024
/** Avatars of which it is remembered what they lack: about 7 KB each at most. */
const MAX_KNOWN = 1_024

/**
 * Looks at avatars after commits, and tells of ids that they newly lack.
 *
 * @param newlyMissing told of ids that the last look did not find; of at most 100 an avatar
 * @returns ends it
 */
export function watchGaps(
  components: {
    readonly store: Pick<StoreReader, 'onCommit' | 'summary'>
    readonly environment: { readonly timers: Timers }
    readonly logger: Logger
  },
  newlyMissing: (ids: readonly RecordId[]) => void,
): () => void {
  const { store, environment, logger } = components
  const changed = new Set<Avatar>()
  const known = new LRUCache<Avatar, ReadonlySet<RecordId>>({ max: MAX_KNOWN })
  let cancel: (() => void) | null = null
  let isLooking = false
  let isStopped = false

  const forget = store.onCommit((events) => {
    for (const { avatar } of events) if (changed.size < MAX_AVATARS) changed.add(avatar)
    arm()
  })

  function arm(): void {
    if (cancel !== null || isLooking || isStopped || changed.size === 0) return
    cancel = environment.timers.after(DELAY_MS, () => {
      cancel = null
      void look()
    })
  }

  async function look(): Promise<void> {
    isLooking = true
    const avatars = [...changed]
    changed.clear()
    try {
      for (const avatar of avatars) {
        if (isStopped) return
        const ids = (await store.summary(avatar))?.missing.ids ?? []
        const before = known.get(avatar)
        if (ids.length === 0) known.delete(avatar)
        else known.set(avatar, new Set(ids))
        const fresh = ids.filter((id) => before?.has(id) !== true)
        if (fresh.length > 0 && !isStopped) newlyMissing(fresh)
      }
    } catch (error) {
      logger.warn({ err: error }, 'what is missing could not be read; the next sync finds it')
    } finally {
      isLooking = false
      arm()
    }
  }

  return () => {
    isStopped = true
    forget()
    cancel?.()
  }
}
