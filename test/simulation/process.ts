import type { Environment } from '../../src/platform/environment.ts'
import { createHosting } from '../../src/hosting/hosting.ts'
import type { Hosting } from '../../src/hosting/types.ts'
import type { Ingest } from '../../src/ingest/types.ts'
import type { Outbox } from '../../src/network/outbox.ts'
import type { Following } from '../../src/node/following.ts'
import type { Logger, Metrics } from '../../src/observe/types.ts'
import type { Avatar } from '../../src/record/types.ts'
import type { RebuildableStore } from '../../src/store/types.ts'
import type { Sync } from '../../src/sync/sync.ts'
import type { SimulatedDisk } from './disk.ts'
import type { HostFilesDisk, HostFiles } from './host-files.ts'
import type { Policy } from './scenario.ts'

/** When every world begins: 2026-09-22, later than any record that the history generators date. */
export const WORLD_EPOCH_MS = 1_790_100_000_000

/** One life of a node's process. */
export interface Process {
  readonly store: RebuildableStore
  readonly ingest: Ingest & { stop(): Promise<void> }
  readonly outbox: Outbox
  readonly sync: Sync
  readonly following: Following
  readonly hosting: Hosting
  readonly isArchive: boolean
  readonly disk: SimulatedDisk
  readonly gauges: Map<string, () => number>
  /** Rejects when the process dies. */
  readonly death: Promise<never>
}

/** The node went down under a call; whoever called does not know what became of it. */
export class NodeDownError extends Error {
  override readonly name = 'NodeDownError'
}

/** Hosting as a process has it: by its operator's files, over its store. */
export function openHosting(
  parts: { readonly environment: Environment; readonly logger: Logger; readonly metrics: Metrics },
  store: RebuildableStore,
  hostFiles: HostFiles,
  desk: HostFilesDisk,
  { listed }: Policy,
): Hosting {
  const register = hostFiles.open(desk)
  const held = {
    avatars: (page: { after?: Avatar; limit: number }) => store.avatars(page),
    isHeld: async (avatar: Avatar) => (await store.summary(avatar)) !== undefined,
    homes: async () => [],
    forget: (avatar: Avatar) => store.forget(avatar),
    links: async (avatar: Avatar) => (await store.links(avatar)).map((link) => link.avatar),
  }
  const hosting = createHosting(
    { ...parts, journal: hostFiles, register, held },
    { mode: listed === null ? 'all' : 'listed', policy: 'closed', links: 16 },
  )
  store.onCommit((events) => hosting.linksChanged(events.map(({ avatar }) => avatar)))
  return hosting
}
