/**
 * The mark of a store: a file beside the LevelDB directory that says that a store was created there (`level-files.ts`). A new
 * store is created only if there is neither a mark nor a file of LevelDB.
 */
import { inspectLevelFiles, readMarkFile, writeMarkFile } from '../platform/level-files.ts'
import { fileProblem } from '../platform/files.ts'
import { StoreError } from './errors.ts'
import type { StoreDamage } from './types.ts'

/** The contents of the mark. A damaged member has its most cautious value. */
export interface StoreMark {
  /** Epoch of the store; undefined if unknown. If the store has another epoch, the directory was replaced. */
  readonly epoch: string | undefined
  readonly network: string | undefined
  /** A sequence that was on disk when the mark was written, and the number of records stored then. */
  readonly lastSequence: number
  readonly records: number
  /** Whether a process has the store open, or stopped without closing it. */
  readonly isOpen: boolean
  /** Whether damaged files were repaired and the derived rows are still to be rebuilt. */
  readonly isRepairing: boolean
  readonly damage: StoreDamage | undefined
}

const FORMAT = 'avatar-kv-store/1'

/** `store.mark.json` beside `store`. */
export function markPath(location: string): string {
  return `${location}.mark.json`
}

/**
 * Whether there is a store in a directory. Changes nothing.
 *
 * @throws StoreError `incomplete` if files of a store are missing; `unreadable`
 */
export async function hasStore(location: string): Promise<boolean> {
  return (await findStore(location)).isThere
}

/**
 * Looks for a store and its mark in a directory. Changes nothing.
 *
 * @throws StoreError `incomplete` if files of a store are missing; `unreadable`
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
  return members && markOf(members)
}

function markOf(members: Readonly<Record<string, unknown>>): StoreMark {
  const { epoch, network, last_sequence, records, open, mending, damage } = members
  return {
    epoch: textOf(epoch),
    network: textOf(network),
    lastSequence: countOf(last_sequence),
    records: countOf(records),
    isOpen: open !== false,
    isRepairing: mending === true,
    damage: damageOf(damage),
  }
}

/** For a store without a mark. */
export const NO_MARK = markOf({})

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function countOf(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0
}

function damageOf(value: unknown): StoreDamage | undefined {
  const { foundAt, files, recordsLost } = (value ?? {}) as Readonly<Record<string, unknown>>
  if (typeof foundAt !== 'number' || !Array.isArray(files)) return undefined
  return { foundAt, files: files.map(String), recordsLost: typeof recordsLost === 'number' ? recordsLost : null }
}

/** Replaces the mark; on disk (fsync) when it resolves. Requires the lock on the store. Calls must not overlap. */
export async function writeMark(location: string, mark: StoreMark): Promise<void> {
  const { epoch, network, lastSequence, records, isOpen, isRepairing, damage } = mark
  const members = { epoch, network, last_sequence: lastSequence, records, open: isOpen, mending: isRepairing, damage }
  await writeMarkFile(markPath(location), { format: FORMAT, ...members })
}

/** The error for a store with lost files. @param missing noun phrase for the lost files */
export function incomplete(location: string, missing: string, options?: ErrorOptions): StoreError {
  return new StoreError(
    'incomplete',
    `The store in ${location} has lost ${missing}, so the node did not open it and changed no record. Restore a backup to ` +
      'a new data directory (avatar-kv restore), or save the records that are left (avatar-kv repair). To begin with an ' +
      `empty store and fetch the records from peers, move ${location} and ${markPath(location)} away.`,
    options,
  )
}
