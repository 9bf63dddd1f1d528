/** What keeps several tabs on one store from getting into each other's way. */
import type { Avatar } from '../record/types.ts'
import { createWriteQueue } from '../client/write-queue.ts'
import { ReplicaError } from './errors.ts'

/** How the connection of an avatar is, as the tab that syncs knows it. */
export interface TabStatus {
  readonly live: boolean
  readonly since: number
  readonly verifiedAt: number | null
}

/**
 * `changed`: there are new rows of an avatar. `avatars`: one was taken in or let go. `hello`: a tab wants to know how things
 * are. `sync`: it wants nodes to be asked now.
 */
export type TabMessage =
  | { readonly kind: 'hello' }
  | { readonly kind: 'changed'; readonly avatar: Avatar }
  | { readonly kind: 'avatars' }
  | { readonly kind: 'sync' }
  | { readonly kind: 'status'; readonly avatar: Avatar; readonly status: TabStatus }

export interface Tabs {
  /** Whether nobody else can have the store open. */
  readonly alone: boolean
  /** Runs one at a time for a key, over all tabs. */
  exclusive<T>(key: string, run: () => Promise<T>): Promise<T>
  /** Runs once nobody else leads, and leads until `run` is done. Resolves without running where the signal comes first. */
  lead(run: () => Promise<void>, signal: AbortSignal): Promise<void>
  tell(message: TabMessage): void
  listen(listener: (message: TabMessage) => void): void
  close(): void
}

/** For a store that is one process's alone. */
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
 * Web Locks and a BroadcastChannel. Browsers give both up with the tab, and freeze no tab that holds a lock.
 *
 * @param name of the store
 * @throws ReplicaError `unsupported`
 */
export function browserTabs(name: string): Tabs {
  const locks = (navigator as Partial<Navigator>).locks
  if (locks === undefined) {
    throw new ReplicaError(
      'unsupported',
      'Two tabs could spoil each other’s data here: Web Locks are there on secure origins only. Serve the page over https, or from localhost.',
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
