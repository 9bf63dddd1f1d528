/** Puts a migration together: the staging store in its folder, and the two hosts around it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { limitHeapGrowth } from '../platform/v8-flags.ts'
import type { Environment } from '../platform/environment.ts'
import { createLogger } from '../observe/logger.ts'
import { createMetrics } from '../observe/metrics.ts'
import type { Avatar } from '../record/types.ts'
import { HostError, hostFailed, MigrateError } from './errors.ts'
import type { MigrationParts } from './migrate.ts'
import { openPeerLink } from './peer-link.ts'
import { createPeerSide } from './peer-side.ts'
import { openResumeCursors } from './resume-cursors.ts'
import { openStaging } from './staging.ts'
import type { HttpHost, Progress, Side } from './types.ts'
import { createUrlSide } from './url-side.ts'

/** The network if both hosts are given by multiaddr, because peers do not tell theirs. */
const DEFAULT_NETWORK = 'main'

/** A host: by HTTP, or the multiaddr of a peer. */
export type HostAddress = HttpHost | { readonly multiaddr: string }

export interface MigrationOptions {
  readonly avatar: Avatar
  readonly from: HostAddress
  readonly to: HostAddress
  /** Default: what the hosts say; `main` if neither is given by URL. */
  readonly network?: string | undefined
  /** Folder that stays for the next run. Default: a temporary one that is removed at the end. */
  readonly workDir?: string | undefined
}

export interface OpenMigration extends MigrationParts {
  close(): Promise<void>
}

/**
 * Opens everything that a migration needs; the caller closes it.
 *
 * @throws MigrateError `network_differs`, `unreachable`, `work_dir`; NetworkError `invalid_address`; StoreError
 */
export async function openMigration(
  components: { readonly environment: Environment; readonly progress: Progress; readonly signal: AbortSignal },
  options: MigrationOptions,
): Promise<OpenMigration> {
  const { environment, signal } = components
  const limitAgain = limitHeapGrowth()
  const progress: Progress = (...moved) => {
    components.progress(...moved)
    limitAgain()
  }
  const { avatar } = options
  const network = await networkOf(options)
  const dir = options.workDir ?? (await mkdtemp(join(tmpdir(), 'avatar-kv-migrate-')))
  const logger = createLogger({ level: 'silent', pretty: false })
  /** Closes what is open, in the order of opening. */
  const open: (() => Promise<void>)[] = []
  const close = async (): Promise<void> => {
    for (let last = open.pop(); last !== undefined; last = open.pop()) await last().catch(() => undefined)
  }
  try {
    if (options.workDir === undefined) open.push(() => rm(dir, { recursive: true, force: true }))
    const folder = join(dir, `${network}-${avatar}`)
    const staging = await openStaging({ environment, logger }, { dir: folder, avatar, network })
    open.push(() => staging.close())
    const cursors = await openResumeCursors(folder, avatar, staging.reader.epoch)
    const side = async (host: HostAddress): Promise<Side> => {
      const parts = { environment, staging, cursors, progress, signal }
      if (!('multiaddr' in host)) return createUrlSide(parts, host)
      const link = await openPeerLink({ environment, logger, metrics: createMetrics(), staging }, host.multiaddr)
      return createPeerSide(parts, link, host.multiaddr)
    }
    const from = await side(options.from)
    open.push(() => from.close())
    const to = await side(options.to)
    open.push(() => to.close())
    return { environment, staging, from, to, signal, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** The network of both hosts. */
async function networkOf({ from, to, network }: MigrationOptions): Promise<string> {
  const told: { readonly name: string; readonly network: string }[] = []
  for (const host of [from, to]) {
    if ('multiaddr' in host) continue
    const status = await host.status().catch((error: unknown) => {
      throw error instanceof HostError ? hostFailed(error) : error
    })
    told.push({ name: host.url, network: status.network })
  }
  const expected = network ?? told[0]?.network ?? DEFAULT_NETWORK
  const other = told.find((host) => host.network !== expected)
  if (other === undefined) return expected
  throw new MigrateError(
    'network_differs',
    `${other.name} is of the network ${other.network}, not ${expected}: a record of one network is invalid in another.`,
  )
}
