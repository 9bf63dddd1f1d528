import { statfs } from 'node:fs/promises'

import type { Config } from '../config/load.ts'
import { createDiskWatch, type DiskSpace, type DiskWatch } from '../hosting/disk-watch.ts'
import { createPolicyCommand } from '../hosting/policy-command.ts'
import { createNewcomers, withDiskRoom } from '../hosting/newcomers.ts'
import type { Hosting } from '../hosting/types.ts'
import type { Admission } from '../ingest/admission.ts'
import type { Logger, Metrics } from '../observe/types.ts'
import type { Environment } from '../platform/environment.ts'
import { payloadHead } from '../record/payload-head.ts'
import type { StoreReader } from '../store/types.ts'

/** The share of the free space that all avatars together may fill by default. */
const TOTAL_QUOTA_SHARE = 0.8
/**
 * Bytes on disk for one byte of payloads and signatures, with indexes and state. Measured on layout 4, while a node writes: 1.3 for text,
 * 1.4 to 1.7 for the smallest records, 1.9 for values that do not compress (docs/performance.md).
 */
const DISK_BYTES_PER_RECORD_BYTE = 1.9

interface Parts {
  readonly environment: Environment
  readonly logger: Logger
  readonly metrics: Metrics
}

/** What keeps strangers from filling the disk. */
export interface Safeguards {
  readonly admission: Admission
  readonly disk: DiskWatch
  /** For owners and the operator: takes no new avatar while the disk is low. */
  readonly hosting: Hosting
  start(): Promise<void>
  stop(): Promise<void>
}

/** @param parts.onRoom called when the node takes records again that it refused before */
export function createSafeguards(
  parts: Parts & { readonly store: StoreReader; readonly hosting: Hosting; readonly onRoom: () => void },
  config: Pick<Config, 'dataDir' | 'disk' | 'hostingPolicyCommand'>,
): Safeguards {
  const { store, hosting } = parts
  const { hostingPolicyCommand } = config
  const command = hostingPolicyCommand.length === 0 ? undefined : createPolicyCommand(parts, hostingPolicyCommand)
  const disk = createDiskWatch({ ...parts, space: () => diskSpace(config.dataDir) }, config.disk)
  const held = {
    isHeld: async (avatar: Parameters<StoreReader['summary']>[0]) => (await store.summary(avatar)) !== undefined,
  }
  const newcomers = createNewcomers({ held, hosting, disk, command })
  return {
    disk,
    hosting: withDiskRoom(hosting, held, disk),
    async start() {
      command?.start()
      await disk.start()
    },
    stop() {
      command?.stop()
      disk.stop()
      return Promise.resolve()
    },
    admission: {
      peek: (payload) => payloadHead(payload)?.avatar,
      admit: (avatar) => hosting.admit(avatar) ?? disk.refusesAll(),
      screen: newcomers.screen,
    },
  }
}

/** Free space for this process, as `df` computes it: space that is reserved for the administrator does not count. */
async function diskSpace(path: string): Promise<DiskSpace> {
  const { bavail, bfree, blocks, bsize } = await statfs(path)
  return { freeBytes: bavail * bsize, totalBytes: (blocks - bfree + bavail) * bsize }
}

/**
 * The quota of all avatars together if the operator sets none: what the store has, and a share of what is free.
 *
 * @returns bytes of payloads and signatures; 0, no limit, if the free space cannot be read
 */
export async function defaultTotalQuota(dataDir: string, storedBytes: number, logger: Logger): Promise<number> {
  try {
    const { freeBytes } = await diskSpace(dataDir)
    const quota = Math.floor(storedBytes + (freeBytes * TOTAL_QUOTA_SHARE) / DISK_BYTES_PER_RECORD_BYTE)
    logger.info(
      { quota_total_bytes: quota, stored_bytes: storedBytes, free_bytes: freeBytes },
      'all avatars together may take a share of the free disk; set quota_total_bytes to change that',
    )
    return quota
  } catch (error) {
    logger.warn(
      { err: error },
      'the node cannot read the free space of its disk, so all avatars together have no quota',
    )
    return 0
  }
}
