/**
 * The tab that syncs for all tabs of a store, the leader, and what this tab does when other tabs say something.
 *
 * Guarantee: at most one tab leads. A tab that fails to begin tries again.
 */
import type { Avatar } from '../record/types.ts'
import { pause } from '../client/deadline.ts'
import { ReplicaError } from './errors.ts'
import type { FollowedAvatars } from './followed-avatars.ts'
import { LEAD_PATIENCE_MS } from './limits.ts'
import type { Restorer } from './restore.ts'
import { detectResume } from './resume-detector.ts'
import { backOff, type Sync } from './sync.ts'
import type { TabMessage, Tabs } from './tabs.ts'
import type { ReplicaEvent } from './types.ts'

export interface LeaderComponents {
  readonly followed: FollowedAvatars
  readonly sync: Sync
  readonly restorer: Restorer
  readonly tabs: Tabs
  readonly emit: (event: ReplicaEvent) => void
  /** Whether there is a node to sync with. */
  readonly hasNodes: boolean
}

export function createLeader(components: LeaderComponents, signal: AbortSignal) {
  const { followed, sync, restorer, tabs, emit, hasNodes } = components
  const background = new Set<Promise<void>>()
  const tookLead = new AbortController()
  let leads = false

  /** A failure in the background is told, and the work is done again the next time. */
  function inBackground(work: () => Promise<void>, avatar?: Avatar): void {
    if (signal.aborted) return
    const run = work()
      .catch((error: unknown) => {
        if (!signal.aborted) emit({ type: 'error', avatar, error })
      })
      .finally(() => background.delete(run))
    background.add(run)
  }

  function heard(message: TabMessage): void {
    if (message.kind === 'avatars') return inBackground(followed.catchUp)
    if (message.kind === 'hello') return leads ? sync.tellAll() : undefined
    if (message.kind === 'sync') return leads ? sync.wake() : undefined
    const replica = followed.find(message.avatar)
    if (replica === undefined) return undefined
    if (message.kind === 'changed') {
      return inBackground(async () => {
        await replica.catchUp()
        if (replica.gone) return await followed.catchUp()
        await restorer.adopt(replica)
        if (leads) sync.send(replica)
      }, replica.avatar)
    }
    if (leads) return undefined
    const wasLive = replica.status.live
    replica.status = message.status
    if (wasLive === message.status.live) return undefined
    const status = message.status.live ? 'live' : 'lost'
    return emit({ type: 'connection', avatar: replica.avatar, status, node: undefined, message: undefined })
  }

  async function lead(): Promise<void> {
    for (let failures = 0; ; failures += 1) {
      try {
        await followed.catchUp()
        break
      } catch (error) {
        if (signal.aborted) return
        emit({ type: 'error', avatar: undefined, error })
        await pause(backOff(failures), [signal])
      }
    }
    if (signal.aborted) return
    leads = true
    tookLead.abort()
    emit({ type: 'leader', leads })
    for (const replica of followed.all()) {
      sync.add(replica)
      inBackground(() => restorer.adopt(replica), replica.avatar)
    }
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    await sync.ended()
    leads = false
  }

  tabs.listen(heard)
  const leading = hasNodes
    ? tabs.lead(lead, signal).catch((error: unknown) => emit({ type: 'error', avatar: undefined, error }))
    : Promise.resolve()
  const stopDetecting = detectResume({
    woke: () => {
      inBackground(followed.catchUp)
      if (leads) sync.wake()
    },
    seen: () => inBackground(followed.catchUp),
  })
  signal.addEventListener('abort', stopDetecting)

  return {
    get leads(): boolean {
      return leads
    },
    /** Asks all nodes now; in a tab that does not lead, tells the leader to. @throws ReplicaError, ClientError */
    async syncNow(own: AbortSignal | undefined): Promise<void> {
      if (!hasNodes) {
        throw new ReplicaError('usage', 'This replica has no nodes: name at least one node when you open it.')
      }
      // A replica that was opened a moment ago may be about to lead.
      if (!leads) await pause(LEAD_PATIENCE_MS, [tookLead.signal, signal])
      if (!leads) return tabs.tell({ kind: 'sync' })
      for (const replica of followed.all()) await sync.once(replica, own)
    },
    /** Resolves when all has ended, after the signal. */
    async ended(): Promise<void> {
      await Promise.allSettled([leading, ...background])
      // Writes that have begun are finished.
      await Promise.allSettled(followed.all().map((replica) => replica.catchUp()))
    },
  }
}
