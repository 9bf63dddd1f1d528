/**
 * The staging store, between two hosts. Ingest verifies, deduplicates and folds on this machine what either of them sends,
 * before it goes anywhere.
 *
 * Guaranteed: it holds records of one avatar only, each of them valid in one network. What it hands out is on disk, so a
 * migration that was killed resumes from it.
 */
import { join } from 'node:path'

import { fileProblem, makeDirectory } from '../platform/files.ts'
import type { Ingest, IngestResult, Origin } from '../ingest/types.ts'
import { openOfflineStore, type OfflineComponents } from '../offline/open.ts'
import type { Keccak256 } from '../record/id.ts'
import { RecordError } from '../record/errors.ts'
import { decodeUncheckedPoint } from '../record/payload.ts'
import type { Avatar, SignedRecord } from '../record/types.ts'
import type { AvatarSummary, StoreReader } from '../store/types.ts'
import type { SyncSource } from '../store/types.ts'
import { MigrateError } from './errors.ts'
import type { AvatarStatus } from './types.ts'

/** Threads that verify: two are faster than two hosts can send and take. */
const WORKERS = 2

export interface Staging {
  readonly avatar: Avatar
  readonly network: string
  readonly reader: StoreReader
  readonly sync: SyncSource
  readonly keccak256: Keccak256
  /** Rejects records of other avatars with the code `other_avatar`, before anything is verified or stored. */
  readonly ingest: Ingest
  /** Undefined while nothing is held. */
  avatarStatus(): Promise<AvatarStatus | undefined>
  close(): Promise<void>
}

/**
 * Opens the staging store of one avatar in a folder, and makes the folder if there is none.
 *
 * @throws MigrateError `work_dir`; StoreError if the data there is in use, broken or of another network
 */
export async function openStaging(
  components: OfflineComponents,
  options: { readonly dir: string; readonly avatar: Avatar; readonly network: string },
): Promise<Staging> {
  const { dir, avatar, network } = options
  await makeDirectory(dir).catch((error: unknown) => {
    throw new MigrateError(
      'work_dir',
      `Cannot make the folder ${dir}: ${fileProblem(error)}. Choose another with --work-dir.`,
    )
  })
  const opened = await openOfflineStore(components, { location: join(dir, 'staging'), network, workers: WORKERS })
  const { store, ingest, engine } = opened
  return {
    avatar,
    network,
    reader: store,
    sync: store.sync,
    keccak256: (bytes) => engine.keccak256(bytes),
    ingest: { submit: (records, { origin }) => submitOwn(ingest, avatar, network, records, origin) },
    async avatarStatus() {
      const summary = await store.summary(avatar)
      return summary === undefined ? undefined : statusOf(summary)
    },
    close: () => opened.close(),
  }
}

function statusOf({ head, digest, records, pending, missing, tips, base }: AvatarSummary): AvatarStatus {
  return { head, digest, records, gaps: { pending, ...missing }, tips, base }
}

/** Whether two stores show the same and lack the same, as far as both say. */
export function sameStatus(a: AvatarStatus | undefined, b: AvatarStatus | undefined): boolean {
  if (a === undefined || b === undefined || a.digest !== b.digest) return false
  if (a.records !== null && b.records !== null && a.records !== b.records) return false
  if (a.gaps === null || b.gaps === null) return true
  const isSame = a.gaps.pending === b.gaps.pending && a.gaps.total === b.gaps.total
  return isSame && a.gaps.ids.join() === b.gaps.ids.join()
}

const OTHER_AVATAR = {
  status: 'invalid',
  code: 'other_avatar',
  message: 'This record is of another avatar than the one that moves.',
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

/** The avatar that a payload names; `expected` for a broken payload, so that ingest says what is wrong with it. */
function avatarIn(payload: Uint8Array, network: string, expected: Avatar): Avatar {
  try {
    return decodeUncheckedPoint(payload, network).avatar
  } catch (error) {
    if (error instanceof RecordError) return expected
    throw error
  }
}
