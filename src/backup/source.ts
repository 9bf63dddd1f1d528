import { createHash } from 'node:crypto'

import type { ArchiveSource } from '../archive/format.ts'
import { gzip, nodePlatform } from '../archive/node.ts'
import { writeArchive } from '../archive/writer.ts'
import type { Avatar } from '../record/types.ts'
import type { ExportSnapshot } from '../store/types.ts'
import type { BackupTotals } from './manifest.ts'

/** A moment of a store, for a backup. */
export interface BackupSource {
  /** The compressed archive of every record, history included. Read it once, to its end. */
  readonly chunks: AsyncIterable<Uint8Array>
  /** The totals. Throws before `chunks` has ended. */
  totals(): BackupTotals
}

/**
 * Reads everything in a read snapshot of a store; later writes do not show. The caller closes the snapshot.
 *
 * @param options.createdAt Unix seconds
 */
export function backupSource(
  readSnapshot: ExportSnapshot,
  options: {
    readonly network: string
    readonly createdAt: number
    readonly onProgress?: (records: number) => void
  },
): BackupSource {
  const hash = createHash('sha256')
  const counts = { avatars: 0, records: 0, live: 0 }
  let state: string | undefined
  const counted: ArchiveSource = {
    async *avatars() {
      for await (const avatar of readSnapshot.avatars()) {
        yield avatar
        await addState(readSnapshot, avatar, hash, counts)
      }
      state = hash.digest('hex')
    },
    async *records(avatar, which) {
      for await (const record of readSnapshot.records(avatar, which)) {
        counts.records += 1
        yield record
      }
    },
  }
  return {
    chunks: gzip(writeArchive(nodePlatform, counted, { ...options, history: true })),
    totals() {
      if (state === undefined) throw new Error('The records were not read to their end.')
      return { ...counts, state }
    },
  }
}

/** The totals of a moment of a store. */
export async function totalsOf(readSnapshot: ExportSnapshot): Promise<BackupTotals> {
  const hash = createHash('sha256')
  const counts = { avatars: 0, records: 0, live: 0 }
  for await (const avatar of readSnapshot.avatars()) {
    for await (const _ of readSnapshot.records(avatar, { history: true })) counts.records += 1
    await addState(readSnapshot, avatar, hash, counts)
  }
  return { ...counts, state: hash.digest('hex') }
}

async function addState(
  readSnapshot: ExportSnapshot,
  avatar: Avatar,
  hash: { update(text: string): unknown },
  counts: { avatars: number; live: number },
): Promise<void> {
  const summary = await readSnapshot.summary(avatar)
  if (summary === undefined) throw new Error(`The store lists ${avatar} but has no summary of it.`)
  hash.update(`${avatar} ${summary.digest} ${summary.records}\n`)
  counts.avatars += 1
  counts.live += summary.records
}
