/** Locks and messages between tabs that share a store. */
import type { Avatar } from '../record/types.ts'
import { createWriteQueue } from '../client/write-queue.ts'
import { ReplicaError } from './errors.ts'

/** Whether an avatar is followed live, as the tab that syncs knows. */
export interface TabStatus {
  readonly live: boolean
  readonly since: number
  readonly verifiedAt: number | null
}

/**
 * `changed`: there are new rows of an avatar. `avatars`: an avatar was followed or unfollowed. `hello`: a tab asks for the status
 * of all avatars. `sync`: a tab asks the leader to sync now.
 */
export type TabMessage =
  | { readonly kind: 'hello' }
  | { readonly kind: 'changed'; readonly avatar: Avatar }
  | { readonly kind: 'avatars' }
  | { readonly kind: 'sync' }
  | { readonly kind: 'status'; readonly avatar: Avatar; readonly status: TabStatus }

export interface Tabs {
  /** Whether no other tab or process can have the store open. */
  readonly alone: boolean
  /** Runs one at a time for a key, over all tabs. */
  exclusive<T>(key: string, run: () => Promise<T>): Promise<T>
  /** Runs once no other tab leads, and leads until `run` is done. Resolves without running if the signal is aborted first. */
  lead(run: () => Promise<void>, signal: AbortSignal): Promise<void>
  tell(message: TabMessage): void
  listen(listener: (message: TabMessage) => void): void
  close(): void
}

/** For a store that only one process has open. */
export function loneTab(): Tabs {
  const inOrder = createWriteQueue()
  return {
    alone: true,
    exclusive: (key, run) => inOrder(key, run),
    lead: (run) => run(),
    tell: () => {},
    listen: () => {},
    close: () => {},
  }
}

/**
 * Web Locks and a BroadcastChannel. Browsers release both with the tab, and do not freeze a tab that holds a lock.
 *
 * @param name of the store
 * @throws ReplicaError `unsupported`
 */
export function browserTabs(name: string): Tabs {
  const locks = (navigator as Partial<Navigator>).locks
  if (locks === undefined) {
    throw new ReplicaError(
      'unsupported',
      'This page has no Web Locks, so two tabs could damage each other’s data. Browsers have them on secure origins only: serve the page over https, or from localhost.',
    )
  }
  const channel = new BroadcastChannel(`avatar-kv-replica ${name}`)
  const lockName = (what: string): string => `avatar-kv-replica ${name} ${what}`
  return {
    alone: false,
    exclusive: async (key, run) => await locks.request(lockName(key), run),
    async lead(run, signal) {
      try {
        await locks.request(lockName('leader'), { signal }, run)
      } catch (error) {
        if (!signal.aborted) throw error
      }
    },
    tell: (message) => channel.postMessage(message),
    listen: (listener) =>
      channel.addEventListener('message', (event: MessageEvent<TabMessage>) => listener(event.data)),
    close: () => channel.close(),
  }
}
