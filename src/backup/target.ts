import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { exists, makeDirectory, syncDirectory } from '../platform/files.ts'
import { BackupError } from './errors.ts'
import { namesIn, onDisk, writeFileDurably } from './files.ts'
import { HOSTING_FILE, KEY_FILE } from './manifest.ts'

/** Marks a data directory in which a restore or a repair is not finished. No node starts on it. */
const MARK_FILE = 'restoring.json'
const MARK_TEXT = '{"format":"avatar-kv-restoring/1"}\n'
const STORE_DIRECTORY = 'store'
/** The mark of the store that a restore makes. */
const STORE_MARK_FILE = 'store.mark.json'
/** A repair copies it (`cli/repair.ts`); a restore does not. */
const TOKEN_FILE = 'operator-token'
/** What a restore or a repair makes; the mark is removed last. */
const NAMES = [STORE_DIRECTORY, STORE_MARK_FILE, `${STORE_MARK_FILE}.new`, HOSTING_FILE, KEY_FILE, TOKEN_FILE]

/** Whether a data directory holds a restore that was not finished. */
export async function isRestoring(dataDir: string): Promise<boolean> {
  return await exists(join(dataDir, MARK_FILE))
}

/**
 * Prepares a data directory for a restore or a repair: a new or empty one, or one that an unfinished restore left, whose files
 * are removed. No node starts on it until `finishTarget`.
 *
 * @param isInUse whether a process has the store in the directory open
 * @throws BackupError `not_empty`, `in_use`, `unwritable`
 */
export async function beginTarget(dataDir: string, isInUse: (dataDir: string) => Promise<boolean>): Promise<void> {
  await onDisk(`Cannot make a data directory in ${dataDir}`, async () => {
    const names = (await namesIn(dataDir)) ?? []
    if (names.includes(MARK_FILE)) {
      if (await isInUse(dataDir)) throw inUse(dataDir)
      await clear(dataDir, names)
    } else if (names.length > 0) throw notEmpty(dataDir, names)
    else {
      await makeDirectory(dataDir)
      await writeFileDurably(join(dataDir, MARK_FILE), [Buffer.from(MARK_TEXT)])
      await syncDirectory(dataDir)
      await syncDirectory(dirname(dataDir))
    }
  })
}

/** Adds files and makes the directory usable by a node. Everything is on disk before the mark is removed. */
export async function finishTarget(dataDir: string, files: Readonly<Record<string, Uint8Array>>): Promise<void> {
  await onDisk(`Cannot finish the data directory ${dataDir}`, async () => {
    for (const [name, bytes] of Object.entries(files)) await writeFileDurably(join(dataDir, name), [bytes])
    await syncDirectory(dataDir)
    await rm(join(dataDir, MARK_FILE))
    await syncDirectory(dataDir)
  })
}

async function clear(dataDir: string, names: readonly string[]): Promise<void> {
  const strange = names.filter((name) => name !== MARK_FILE && !NAMES.includes(name))
  if (strange.length > 0) throw notEmpty(dataDir, strange)
  for (const name of NAMES) await rm(join(dataDir, name), { recursive: true, force: true })
  await syncDirectory(dataDir)
}

function notEmpty(dataDir: string, names: readonly string[]): BackupError {
  return new BackupError(
    'not_empty',
    `${dataDir} is not empty (${names.slice(0, 3).join(', ')}). Name a new or an empty directory.`,
  )
}

function inUse(dataDir: string): BackupError {
  return new BackupError(
    'in_use',
    `Another process restores or repairs to ${dataDir} now. Wait until it ends, or name another directory.`,
  )
}
