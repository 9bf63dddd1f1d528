import { stat } from 'node:fs/promises'
import { join } from 'node:path'

import { importDoor } from '../ingest/retry.ts'
import type { Environment } from '../platform/environment.ts'
import type { Logger } from '../observe/types.ts'
import type { SignedRecord } from '../record/types.ts'
import { filesToSalvage, salvageFile } from '../store/salvage.ts'
import { openWholeStore } from './open.ts'

/** Records verified and stored at once. */
const BATCH_RECORDS = 256

/** The network of a store whose files are damaged, from one of its files; undefined if none tells it. */
export async function networkOfStore(dataDir: string): Promise<string | undefined> {
  for (const path of await filesToSalvage(join(dataDir, 'store'))) {
    const { network } = await salvageFile(path)
    if (network !== undefined) return network
  }
  return undefined
}

/** Bytes of the files that `repairStore` reads. */
export async function bytesToRepair(dataDir: string): Promise<number> {
  const paths = await filesToSalvage(join(dataDir, 'store'))
  const sizes = await Promise.all(
    paths.map((path) =>
      stat(path).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}

/**
 * Stores every record that is left in the files of a damaged store, and verifies, in a new store. Changes nothing in the old
 * directory.
 *
 * @param options.to a data directory without a store
 * @param onProgress called with the records stored and the bytes read; bytes begin at 0 again where the files are read twice
 */
export async function repairStore(
  { from, to, network }: { readonly from: string; readonly to: string; readonly network: string },
  components: { readonly environment: Environment; readonly logger: Logger },
  onProgress: (state: { readonly records: number; readonly bytes: number }) => void,
) {
  const paths = await filesToSalvage(join(from, 'store'))
  const opened = await openWholeStore({ dataDir: to, network }, components, { create: true })
  if (opened === undefined) throw new Error(`No store was made in ${to}.`)
  const { store, ingest } = opened
  try {
    const submit = importDoor(ingest, components.environment.timers)
    /** Files that cannot be read whole. */
    const damagedFiles = new Set<string>()
    /** Records whose signature does not verify. */
    let invalid = 0
    /** Records that the new store rejected, by reason. */
    let refused: Record<string, number> = {}
    // Files are in no order of time: a record that must wait for others may be refused before those are read.
    for (let before = -1; before !== store.totals().bytes;) {
      before = store.totals().bytes
      invalid = 0
      refused = {}
      let bytes = 0
      for (const path of paths) {
        const file = await salvageFile(path)
        if (file.isDamaged) damagedFiles.add(path)
        for (const batch of batches(file.records)) {
          for (const { status, code = status } of await submit(batch)) {
            if (status === 'invalid') invalid += 1
            if (status === 'refused') refused[code] = (refused[code] ?? 0) + 1
          }
          onProgress({ records: store.totals().records, bytes })
        }
        bytes += file.bytes
        onProgress({ records: store.totals().records, bytes })
      }
      if (Object.keys(refused).length === 0) break
    }
    const { avatars, records } = store.totals()
    const kept = { avatars, records, invalid, refused, network, epoch: store.epoch }
    return { ...kept, damagedFiles: [...damagedFiles] }
  } finally {
    await opened.close()
  }
}

function* batches(records: readonly SignedRecord[]): Generator<readonly SignedRecord[]> {
  for (let at = 0; at < records.length; at += BATCH_RECORDS) yield records.slice(at, at + BATCH_RECORDS)
}
