/**
 * Lists the files created in a data directory, so that a lost file is not mistaken for one that never existed.
 *
 * `data-files.json` gets the name of a file when the file is on disk, and before anything in the file is acknowledged. A process
 * that is killed in between leaves an unlisted file; the next start lists it. The same applies to directories of earlier
 * versions. Only the process that holds the lock on the store writes the list.
 */
import { join } from 'node:path'

import { exists } from '../platform/files.ts'
import { readMarkFile, writeMarkFile } from '../platform/level-files.ts'
import type { Logger } from '../observe/types.ts'

export type DataFile = 'hosting.log' | 'operator-token' | 'peer.key'

const FORMAT = 'avatar-kv-data-files/1'

/** Warnings for lost files that the node can create again. */
const LOST = {
  'peer.key':
    'The peer key is lost. The node creates a new one and gets a new peer id. Receipts and peer lists with the old peer id no ' +
    'longer match. To keep the old peer id, stop the node, restore peer.key from a backup and start the node again.',
  'operator-token':
    'The operator token is lost. The node creates a new one and rejects programs that use the old one. Give them the new one.',
} as const

/** `data-files.json` in a data directory. */
export function dataFilesPath(dataDir: string): string {
  return join(dataDir, 'data-files.json')
}

/** Whether a file was ever created in this data directory. True if the list is damaged, so that no loss is hidden. */
export async function wasMade(dataDir: string, name: DataFile): Promise<boolean> {
  const notes = await readNotes(dataDir)
  return notes === 'damaged' || notes.includes(name)
}

/** Adds a file to the list; on disk (fsync) when it resolves. Calls must not overlap. */
export async function noteMade(dataDir: string, name: DataFile): Promise<void> {
  const notes = await readNotes(dataDir)
  if (notes !== 'damaged' && notes.includes(name)) return
  const made = [...(notes === 'damaged' ? [] : notes), name].toSorted()
  await writeMarkFile(dataFilesPath(dataDir), { format: FORMAT, made })
}

/**
 * Loads a file and adds it to the list. `load` creates the file if it is absent.
 *
 * @param logger warns if the file existed before and is lost
 */
export async function loadNoted<T>(
  { dataDir, logger }: { readonly dataDir: string; readonly logger: Logger },
  name: keyof typeof LOST,
  load: (dataDir: string) => Promise<T>,
): Promise<T> {
  const path = join(dataDir, name)
  if (!(await exists(path)) && (await wasMade(dataDir, name))) logger.warn({ file: path }, LOST[name])
  const loaded = await load(dataDir)
  await noteMade(dataDir, name)
  return loaded
}

async function readNotes(dataDir: string): Promise<readonly string[] | 'damaged'> {
  const members = await readMarkFile(dataFilesPath(dataDir))
  if (members === undefined) return []
  return Array.isArray(members['made']) ? members['made'].map(String) : 'damaged'
}
