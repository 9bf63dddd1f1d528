import { createReadStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { nodePlatform } from '../archive/node.ts'
import { readArchive } from '../archive/reader.ts'
import { makeDirectory, syncDirectory } from '../platform/files.ts'
import { BackupError } from './errors.ts'
import { namesIn, onDisk, readFileFacts, writeFileDurably } from './files.ts'
import { HOSTING_FILE, KEY_FILE, MANIFEST_FILE, manifestText, RECORDS_FILE } from './manifest.ts'
import type { BackupFile, Manifest } from './manifest.ts'

/** The name of an unfinished backup ends so. */
const PART_SUFFIX = '.part'
const NAMES: ReadonlySet<string> = new Set([RECORDS_FILE, HOSTING_FILE, KEY_FILE, MANIFEST_FILE])

/** What goes into a backup. */
export interface BackupContents {
  /** The compressed archive of all records. */
  readonly chunks: AsyncIterable<Uint8Array>
  /** Known once `chunks` was read. */
  readonly facts: () => Omit<Manifest, 'files'>
  /** Files of the data directory by name, with their bytes. */
  readonly files: Readonly<Record<string, Uint8Array>>
}

/**
 * Writes a backup as `DIR.part` and renames it, so that a directory of its name is always whole: every file and the directory
 * are on disk (fsync) before. What an earlier attempt left is removed.
 *
 * @param path absolute; nothing may be there
 * @throws BackupError `not_empty`, `unwritable`, `damaged` if what was written differs from what was read
 */
export async function writeBackup(path: string, contents: BackupContents): Promise<Manifest> {
  return await onDisk(`Cannot write the backup ${path}`, () => write(path, contents))
}

async function write(path: string, contents: BackupContents): Promise<Manifest> {
  if ((await namesIn(path)) !== undefined) {
    throw new BackupError(
      'not_empty',
      `${path} already exists, and backups are never replaced. Name another directory.`,
    )
  }
  const part = `${path}${PART_SUFFIX}`
  await clearPart(part)
  try {
    await makeDirectory(part)
    const files: Record<string, BackupFile> = {}
    files[RECORDS_FILE] = await writeFileDurably(join(part, RECORDS_FILE), contents.chunks)
    for (const [name, bytes] of Object.entries(contents.files)) {
      files[name] = await writeFileDurably(join(part, name), [bytes])
    }
    const manifest: Manifest = { ...contents.facts(), files }
    await checkWritten(part, manifest)
    await writeFileDurably(join(part, MANIFEST_FILE), [Buffer.from(manifestText(manifest))])
    await syncDirectory(part)
    await rename(part, path)
    await syncDirectory(dirname(path))
    return manifest
  } catch (error) {
    await rm(part, { recursive: true, force: true })
    throw error
  }
}

/** Removes the files of an unfinished backup. @throws BackupError if there are others, which stay */
async function clearPart(part: string): Promise<void> {
  const names = await namesIn(part)
  if (names === undefined) return
  if (!names.every((name) => NAMES.has(name))) {
    throw new BackupError(
      'not_empty',
      `${part} exists and holds files that no backup made. Move it away, or name another directory.`,
    )
  }
  await rm(part, { recursive: true })
}

/** Reads back what was written. */
async function checkWritten(part: string, manifest: Manifest): Promise<void> {
  for (const [name, expected] of Object.entries(manifest.files)) {
    const found = await readFileFacts(join(part, name))
    if (found?.digest !== expected.digest) throw damaged(`${name} reads back differently`)
  }
  const records = createReadStream(join(part, RECORDS_FILE))
  for await (const event of readArchive(nodePlatform, records, { network: manifest.network })) {
    if (event.kind === 'fault') throw damaged(`line ${event.fault.line}: ${event.fault.message}`)
    if (event.kind === 'end' && event.records !== manifest.records) {
      throw damaged(`it has ${event.records} records instead of ${manifest.records}`)
    }
  }
}

function damaged(what: string): BackupError {
  return new BackupError(
    'damaged',
    `The backup was not written correctly: ${what}. Make it again, on another disk if this repeats.`,
  )
}
