/**
 * Remembers which files were made in a data directory, so that a lost file is not taken for one that was never made.
 *
 * A name is noted in `data-files.json` once its file is on disk, and before anything in it is acknowledged. A process that is
 * killed in between leaves a file without a note; the next start adds the note. Directories of earlier versions have no notes
 * and get them in the same way. Only the process that has the lock on the store writes here.
 */
import { access } from 'node:fs/promises'
import { join } from 'node:path'

import { readMarkFile, writeMarkFile } from '../platform/level-files.ts'
import type { Logger } from '../observe/types.ts'

export type DataFile = 'hosting.log' | 'operator-token' | 'peer.key'

const FORMAT = 'avatar-kv-data-files/1'

/** What the loss of a file that can be made again means. */
const LOST = {
  'peer.key':
    'The peer key is lost: the node makes a new one and has a new peer id. Receipts and peer lists that name the old peer id ' +
    'do not fit. To keep the old identity, stop the node, restore peer.key from a backup and start the node again.',
  'operator-token':
    'The operator token is lost: the node makes a new one. Programs that use the old one are rejected; give them the new one.',
} as const

/** `data-files.json` in a data directory. */
export function dataFilesPath(dataDir: string): string {
  return join(dataDir, 'data-files.json')
}

/** Whether a file was made in this data directory at some time. True where the notes are damaged: that hides no loss. */
export async function wasMade(dataDir: string, name: DataFile): Promise<boolean> {
  const notes = await readNotes(dataDir)
  return notes === 'damaged' || notes.includes(name)
}

/** Notes that a file is there, on disk (fsync) when it resolves. Calls must not overlap. */
export async function noteMade(dataDir: string, name: DataFile): Promise<void> {
  const notes = await readNotes(dataDir)
  if (notes !== 'damaged' && notes.includes(name)) return
  const made = [...(notes === 'damaged' ? [] : notes), name].toSorted()
  await writeMarkFile(dataFilesPath(dataDir), { format: FORMAT, made })
}

/**
 * Loads a file that is made when it is absent, and notes it.
 *
 * @param logger warns where the file was made before and is lost
 */
export async function loadNoted<T>(
  { dataDir, logger }: { readonly dataDir: string; readonly logger: Logger },
  name: keyof typeof LOST,
  load: (dataDir: string) => Promise<T>,
): Promise<T> {
  const path = join(dataDir, name)
  const isThere = await access(path).then(
    () => true,
    () => false,
  )
  if (!isThere && (await wasMade(dataDir, name))) logger.warn({ file: path }, LOST[name])
  const loaded = await load(dataDir)
  await noteMade(dataDir, name)
  return loaded
}

async function readNotes(dataDir: string): Promise<readonly string[] | 'damaged'> {
  const members = await readMarkFile(dataFilesPath(dataDir))
  if (members === undefined) return []
  return Array.isArray(members['made']) ? members['made'].map(String) : 'damaged'
}
