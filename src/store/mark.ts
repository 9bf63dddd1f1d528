/**
 * The mark of a store: a file beside the LevelDB directory that says that a store was made there (`level-files.ts`). A store
 * is created only where there is neither a mark nor a file of LevelDB.
 */
import { inspectLevelFiles, readMarkFile, writeMarkFile } from '../level-files.ts'
import { fileProblem } from '../files.ts'
import { StoreError } from './errors.ts'

/** What the mark says; a member that is damaged is undefined. */
export interface StoreMark {
  /** The epoch of the store that it stands for. Another one: the directory was replaced. */
  readonly epoch: string | undefined
}

const FORMAT = 'avatar-kv-store/1'

/** `store.mark.json` beside `store`. */
export function markPath(location: string): string {
  return `${location}.mark.json`
}

/**
 * Whether there is a store in a directory. Changes nothing.
 *
 * @throws StoreError `incomplete` where there was one and files of it are gone, `unreadable`
 */
export async function hasStore(location: string): Promise<boolean> {
  return (await findStore(location)).isThere
}

/**
 * What there is of a store in a directory. Changes nothing.
 *
 * @throws StoreError `incomplete` where there was one and files of it are gone, `unreadable`
 */
export async function findStore(location: string): Promise<{ isThere: boolean; mark: StoreMark | undefined }> {
  const [mark, files] = await Promise.all([readMark(location), inspectLevelFiles(location)]).catch((error: unknown) => {
    throw new StoreError('unreadable', `Cannot look for a store in ${location}: ${fileProblem(error)}.`)
  })
  if (files.state === 'incomplete') throw incomplete(location, files.missing)
  if (files.state === 'absent' && mark !== undefined) throw incomplete(location, 'all of its files')
  return { isThere: files.state === 'present', mark }
}

async function readMark(location: string): Promise<StoreMark | undefined> {
  const members = await readMarkFile(markPath(location))
  if (members === undefined) return undefined
  const { epoch } = members
  return { epoch: typeof epoch === 'string' ? epoch : undefined }
}

/** Replaces the mark, on disk (fsync) when it resolves. Only by the process that has the lock on the store, one at a time. */
export async function writeMark(location: string, { epoch }: StoreMark): Promise<void> {
  await writeMarkFile(markPath(location), { format: FORMAT, epoch })
}

/** @param missing what is gone, with its article */
export function incomplete(location: string, missing: string, options?: ErrorOptions): StoreError {
  return new StoreError(
    'incomplete',
    `The store in ${location} has lost ${missing}, so it was not opened and no record in it was changed. Restore a backup to ` +
      'a new data directory (avatar-kv restore), or save the records that are left (avatar-kv repair). To begin with an ' +
      `empty store and fetch the records from peers, move ${location} and ${markPath(location)} away.`,
    options,
  )
}
