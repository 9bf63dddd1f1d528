import { join } from 'node:path'

import { importArchive, type ImportCounts } from '../ingest/import-archive.ts'
import { importDoor } from '../ingest/retry.ts'
import type { Config } from '../config/load.ts'
import { dataFilesPath, noteMade, wasMade } from './data-files.ts'
import type { Environment } from '../platform/environment.ts'
import { HOMES_KEY, homesIn } from '../homes/homes.ts'
import { HostingError } from '../hosting/errors.ts'
import { createHosting } from '../hosting/hosting.ts'
import { openJournal } from '../hosting/journal.ts'
import { createPullGuard } from '../hosting/pull-guard.ts'
import { createPuller, type Puller, type PullImport } from '../hosting/puller.ts'
import { Register } from '../hosting/register.ts'
import type { Avatar } from '../record/types.ts'
import type { HeldAvatars, Hosting } from '../hosting/types.ts'
import type { Ingest } from '../ingest/types.ts'
import type { Logger, Metrics } from '../observe/types.ts'
import { OWN_PLATFORM } from '../record/members.ts'
import { cellValue } from '../state/cell.ts'
import type { RebuildableStore, StoreReader } from '../store/types.ts'

interface Parts {
  readonly environment: Environment
  readonly logger: Logger
  readonly metrics: Metrics
}

/** Name of the file in the data directory. */
const FILE_NAME = 'hosting.log'

/**
 * Opens the hosting lists of a data directory. The caller must hold the lock on the store.
 *
 * @throws HostingError `unreadable`; `lost` if the directory had lists and they are missing
 */
export async function openHosting(
  { store, environment, logger, metrics }: Parts & { readonly store: StoreReader & Pick<RebuildableStore, 'forget'> },
  config: Pick<Config, 'dataDir' | 'hostingMode' | 'hostingPolicy' | 'hostingLinks'>,
): Promise<Hosting> {
  const register = new Register()
  const path = join(config.dataDir, FILE_NAME)
  const options = (await wasMade(config.dataDir, FILE_NAME)) ? { lost: lostLists(config.dataDir) } : {}
  const journal = await openJournal(path, (change) => register.apply(change), options)
  await noteMade(config.dataDir, FILE_NAME).catch(async (error: unknown) => {
    await journal.close()
    throw error
  })
  const held: HeldAvatars = {
    avatars: store.avatars.bind(store),
    isHeld: async (avatar) => (await store.summary(avatar)) !== undefined,
    homes: (avatar) => listedHomes(store, avatar),
    forget: (avatar) => store.forget(avatar),
    links: async (avatar) => (await store.links(avatar)).map((link) => link.avatar),
  }
  const hosting = createHosting(
    { held, journal, register, environment, logger, metrics },
    { mode: config.hostingMode, policy: config.hostingPolicy, links: config.hostingLinks },
  )
  store.onCommit((events) => hosting.linksChanged(events.map(({ avatar }) => avatar)))
  // A node must not refuse, at its start, what it hosts because of links.
  await hosting.settled()
  return hosting
}

async function listedHomes(store: Pick<StoreReader, 'member'>, avatar: Avatar): Promise<string[]> {
  const listed = await store.member(avatar, { platform: OWN_PLATFORM, identity: avatar }, HOMES_KEY)
  return listed ? homesIn(cellValue(listed)) : []
}

/** The homes that a hosted avatar lists, or those remembered of one that is gone. */
export async function homesOf(
  store: Pick<StoreReader, 'member'>,
  hosting: Pick<Hosting, 'hosts' | 'formerHomes'>,
  avatar: Avatar,
): Promise<readonly string[]> {
  return hosting.hosts(avatar) ? await listedHomes(store, avatar) : hosting.formerHomes(avatar)
}

function lostLists(dataDir: string): HostingError {
  return new HostingError(
    'lost',
    `The hosting lists ${join(dataDir, FILE_NAME)} are lost: the file existed before and is now missing or empty. Restore ` +
      `${FILE_NAME} from a backup. To start with empty lists (no avatar listed, none blocked), remove ` +
      `${dataFilesPath(dataDir)} and run this again.`,
  )
}

/** Creates the puller, which fetches avatars from other nodes and submits their records to ingest. */
export function openPuller(
  { hosting, ingest, environment, logger, metrics }: Parts & { readonly hosting: Hosting; readonly ingest: Ingest },
  config: Pick<Config, 'network' | 'hostingPullPrivate' | 'archive'>,
): Puller {
  const submit = importDoor(ingest, environment.timers)
  const pullArchive: PullImport = async ({ chunks, avatar, progress }) => {
    const countsOf = (all: ImportCounts) => ({
      stored: all.stored + all.pending,
      duplicate: all.duplicate + all.superseded,
      refused: all.refused + all.invalid + all.skipped,
    })
    const report = await importArchive({
      chunks,
      submit,
      only: new Set([avatar]),
      network: config.network,
      onProgress: (all) => progress(countsOf(all)),
    })
    const [refusal] = Object.values(report.refusals)
    const fault = report.faults.first[0]?.message ?? refusal?.message
    return { ...countsOf(report), ...(fault === undefined ? {} : { fault }) }
  }
  const guard = createPullGuard({ allowPrivate: config.hostingPullPrivate })
  const components = { guard, importArchive: pullArchive, memory: hosting, environment, logger, metrics }
  return createPuller(components, { history: config.archive })
}
