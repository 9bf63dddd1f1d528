/**
 * The staging store: what lies between two hosts. Everything that either of them hands out goes through a node's own door
 * into a node's own store here, so that it is verified, deduplicated and folded on this machine before it goes anywhere.
 *
 * Guaranteed: it holds records of one avatar only, each of them valid in one network; what it hands out is on disk, so a
 * migration that was killed goes on from it.
 */
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

import type { Environment } from '../platform/environment.ts'
import { fileProblem, makeDirectory } from '../platform/files.ts'
import { createIngest } from '../ingest/ingest.ts'
import type { Ingest, IngestResult, Origin } from '../ingest/types.ts'
import type { Logger, Metrics } from '../observe/types.ts'
import type { SignatureEngine } from '../record/engine.ts'
import { RecordError } from '../record/errors.ts'
import { decodeUncheckedPoint } from '../record/payload.ts'
import type { Avatar, SignedRecord } from '../record/types.ts'
import { ONE_PASS_CACHES, openStore } from '../store/store.ts'
import type { AvatarSummary, StoreReader } from '../store/types.ts'
import type { SyncSource } from '../store/types.ts'
import { createVerifyService } from '../verify/verify-service.ts'
import { MigrateError } from './errors.ts'
import type { Standing } from './types.ts'

/** The folder holds an avatar's data. */
const DIR_MODE = 0o700
/** Threads that verify: two are faster than two hosts can send and take, and each takes about 13 MiB. */
const MAX_WORKERS = 2

export interface StagingComponents {
  readonly environment: Environment
  readonly logger: Logger
  readonly metrics: Metrics
  readonly engine: SignatureEngine
}

export interface Staging {
  readonly avatar: Avatar
  readonly network: string
  readonly reader: StoreReader
  readonly sync: SyncSource
  /** The door: it refuses records of other avatars with the code `other_avatar`, before anything is verified or kept. */
  readonly ingest: Ingest
  /** Undefined while nothing is held. */
  standing(): Promise<Standing | undefined>
  close(): Promise<void>
}

/**
 * Opens the staging store of one avatar in a folder, making it if need be.
 *
 * @throws MigrateError `work_dir`; StoreError where the data there is in use, broken or of another network
 */
export async function openStaging(
  components: StagingComponents,
  options: { readonly dir: string; readonly avatar: Avatar; readonly network: string },
): Promise<Staging> {
  const { environment, logger, metrics, engine } = components
  const { dir, avatar, network } = options
  await makeDirectory(dir, DIR_MODE).catch((error: unknown) => {
    throw new MigrateError(
      'work_dir',
      `Cannot make the folder ${dir}: ${fileProblem(error)}. Choose another with --work-dir.`,
    )
  })
  const store = await openStore(
    { environment, logger, metrics, engine },
    { location: join(dir, 'staging'), network, ...ONE_PASS_CACHES },
  )
  const verifier = createVerifyService(
    { engine, logger, stored: (ids) => store.sync.signed(ids) },
    { network, workers: Math.min(availableParallelism(), MAX_WORKERS) },
  )
  const ingest = createIngest({ store, verifier, environment, logger, metrics, announce: () => undefined })
  return {
    avatar,
    network,
    reader: store,
    sync: store.sync,
    ingest: { submit: (records, { origin }) => submitOwn(ingest, avatar, network, records, origin) },
    async standing() {
      const summary = await store.summary(avatar)
      return summary === undefined ? undefined : standingOf(summary)
    },
    async close() {
      await ingest.stop()
      await verifier.close()
      await store.close()
    },
  }
}

function standingOf({ head, digest, records, pending, missing, tips, base }: AvatarSummary): Standing {
  return { head, digest, records, gaps: { pending, ...missing }, tips, base }
}

/** Whether two that stand so show the same, and lack the same, by all that both say. */
export function sameStanding(a: Standing | undefined, b: Standing | undefined): boolean {
  if (a === undefined || b === undefined || a.digest !== b.digest) return false
  if (a.records !== null && b.records !== null && a.records !== b.records) return false
  if (a.gaps === null || b.gaps === null) return true
  const isSame = a.gaps.pending === b.gaps.pending && a.gaps.total === b.gaps.total
  return isSame && a.gaps.ids.join() === b.gaps.ids.join()
}

const OTHER_AVATAR = {
  status: 'invalid',
  code: 'other_avatar',
  message: 'This record is of another avatar than the one that is moved.',
} as const

async function submitOwn(
  ingest: Ingest,
  avatar: Avatar,
  network: string,
  records: readonly SignedRecord[],
  origin: Origin,
): Promise<IngestResult[]> {
  const isForeign = records.map(({ payload }) => avatarIn(payload, network, avatar) !== avatar)
  const own = await ingest.submit(
    records.filter((_, at) => isForeign[at] === false),
    { origin },
  )
  let next = 0
  return isForeign.map((foreign) => (foreign ? { id: null, ...OTHER_AVATAR } : (own[next++] as IngestResult)))
}

/** The avatar that a payload names; `expected` for one that is none, which the door then says. */
function avatarIn(payload: Uint8Array, network: string, expected: Avatar): Avatar {
  try {
    return decodeUncheckedPoint(payload, network).avatar
  } catch (error) {
    if (error instanceof RecordError) return expected
    throw error
  }
}
