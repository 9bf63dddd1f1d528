/** Files that are on disk, whole and durable. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, readdir } from 'node:fs/promises'

import { codeOf } from '../platform/errors.ts'
import { fileProblem, PRIVATE_FILE_MODE } from '../platform/files.ts'
import { BackupError } from './errors.ts'
import type { BackupFile } from './manifest.ts'

/** Writes a new file to disk (fsync), readable by its owner alone. */
export async function writeFileDurably(
  path: string,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<BackupFile> {
  const hash = createHash('sha256')
  let bytes = 0
  const file = await open(path, 'wx', PRIVATE_FILE_MODE)
  try {
    for await (const chunk of chunks) {
      await file.appendFile(chunk)
      hash.update(chunk)
      bytes += chunk.length
    }
    await file.sync()
  } finally {
    await file.close()
  }
  return { bytes, digest: hash.digest('hex') }
}

/** Returns the size and hash of a file; undefined if it is missing. */
export async function readFileFacts(path: string): Promise<BackupFile | undefined> {
  const hash = createHash('sha256')
  let bytes = 0
  try {
    for await (const chunk of createReadStream(path)) {
      hash.update(chunk as Uint8Array)
      bytes += (chunk as Uint8Array).length
    }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
  return { bytes, digest: hash.digest('hex') }
}

/** Returns the names in a directory; undefined if it is missing. */
export async function namesIn(path: string): Promise<string[] | undefined> {
  try {
    return await readdir(path)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Does work on files. @throws BackupError `unwritable` instead of an error of the file system; `failed` begins its message */
export async function onDisk<T>(failed: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof BackupError || codeOf(error) === undefined) throw error
    throw new BackupError('unwritable', `${failed}: ${fileProblem(error)}.`, { cause: error })
  }
}
