import { createHash } from 'node:crypto'

import type { ArchiveSource } from '../archive/format.ts'
import { gzip, nodePlatform } from '../archive/node.ts'
import { writeArchive } from '../archive/writer.ts'
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
  const { counted, totals } = countedSource(readSnapshot)
  return {
    chunks: gzip(writeArchive(nodePlatform, counted, { ...options, history: true })),
    totals,
  }
}

/** Returns the totals of a moment of a store. */
export async function totalsOf(readSnapshot: ExportSnapshot): Promise<BackupTotals> {
  const { counted, totals } = countedSource(readSnapshot)
  for await (const avatar of counted.avatars()) for await (const _ of counted.records(avatar, { history: true }));
  return totals()
}

/** Returns a source of everything in a store that counts what is read, and the totals, which throw before its end. */
function countedSource(readSnapshot: ExportSnapshot): { counted: ArchiveSource; totals: () => BackupTotals } {
  const hash = createHash('sha256')
  const counts = { avatars: 0, records: 0, live: 0 }
  let state: string | undefined
  return {
    counted: {
      async *avatars() {
        for await (const avatar of readSnapshot.avatars()) {
          yield avatar
          const summary = await readSnapshot.summary(avatar)
          if (summary === undefined) throw new Error(`The store lists ${avatar} but has no summary of it.`)
          hash.update(`${avatar} ${summary.digest} ${summary.records}\n`)
          counts.avatars += 1
          counts.live += summary.records
        }
        state = hash.digest('hex')
      },
      async *records(avatar, which) {
        for await (const record of readSnapshot.records(avatar, which)) {
          counts.records += 1
          yield record
        }
      },
    },
    totals() {
      if (state === undefined) throw new Error('The records were not read to their end.')
      return { ...counts, state }
    },
  }
}
