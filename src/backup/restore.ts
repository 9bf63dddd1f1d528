import { createReadStream } from 'node:fs'
import { join } from 'node:path'

import { importArchive } from '../ingest/import-archive.ts'
import type { ImportCounts, ImportReport } from '../ingest/import-archive.ts'
import type { Submit } from '../ingest/retry.ts'
import type { ExportSnapshot } from '../store/types.ts'
import { BackupError } from './errors.ts'
import { RECORDS_FILE } from './manifest.ts'
import type { BackupTotals, Manifest } from './manifest.ts'
import { totalsOf } from './source.ts'

/**
 * Imports the records of a backup into an empty store, each verified, and checks that the store then equals
 * the one that was backed up: as many records of as many avatars, and the same state of each.
 *
 * @param store must keep superseded records, and have no quota
 * @throws BackupError `incomplete`
 */
export async function restoreRecords(
  path: string,
  manifest: Manifest,
  {
    submit,
    store,
    onProgress,
  }: {
    readonly submit: Submit
    readonly store: { exportSnapshot(): Promise<ExportSnapshot> }
    readonly onProgress: (progress: ImportCounts & { readonly records: number }) => void
  },
): Promise<ImportReport> {
  const chunks = createReadStream(join(path, RECORDS_FILE))
  const report = await importArchive({ chunks, submit, network: manifest.network, onProgress })
  const problem = problemOf(report)
  if (problem !== undefined) throw incomplete(problem)
  const readSnapshot = await store.exportSnapshot()
  try {
    const totals = await totalsOf(readSnapshot)
    for (const name of ['avatars', 'records', 'live', 'state'] as const satisfies (keyof BackupTotals)[]) {
      if (totals[name] === manifest[name]) continue
      throw incomplete(`${name} is ${totals[name]} instead of ${manifest[name]}`)
    }
  } finally {
    await readSnapshot.close()
  }
  return report
}

function problemOf({ faults, refused, refusals }: ImportReport): string | undefined {
  const [fault] = faults.first
  if (fault !== undefined) return `line ${fault.line}: ${fault.message}`
  if (refused === 0) return undefined
  const [reason] = Object.entries(refusals)
  return `${refused} records were refused${reason === undefined ? '' : `, ${reason[0]}: ${reason[1].message}`}`
}

function incomplete(what: string): BackupError {
  return new BackupError(
    'incomplete',
    `Not everything could be restored: ${what}. No node starts on this directory. Run the restore again, with another backup if it fails again.`,
  )
}
