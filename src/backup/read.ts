import { open } from 'node:fs/promises'
import { join } from 'node:path'

import { decodeText } from '../platform/decode-text.ts'
import { codeOf } from '../platform/errors.ts'
import { fileProblem } from '../platform/files.ts'
import { BackupError } from './errors.ts'
import { readFileFacts } from './files.ts'
import { MANIFEST_FILE, MAX_MANIFEST_BYTES, parseManifest } from './manifest.ts'
import type { Manifest } from './manifest.ts'

/**
 * Reads the manifest of a backup and checks its files by size and hash.
 *
 * @param path of its directory
 * @throws BackupError `not_a_backup`, `damaged`
 */
export async function readBackup(path: string): Promise<Manifest> {
  const manifest = parseManifest(await readManifest(path))
  for (const [name, { bytes, digest }] of Object.entries(manifest.files)) {
    const found = await readFileFacts(join(path, name))
    if (found === undefined) throw new BackupError('damaged', `The backup ${path} has no ${name}. Use another backup.`)
    if (found.bytes !== bytes || found.digest !== digest) {
      throw new BackupError(
        'damaged',
        `${name} in the backup ${path} differs from what was written. Use another backup.`,
      )
    }
  }
  return manifest
}

async function readManifest(path: string): Promise<string> {
  try {
    const file = await open(join(path, MANIFEST_FILE), 'r')
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_MANIFEST_BYTES + 1))
      if (bytesRead <= MAX_MANIFEST_BYTES) return decodeText(buffer.subarray(0, bytesRead))
    } finally {
      await file.close()
    }
  } catch (error) {
    const why = codeOf(error) === 'ENOENT' ? `it has no ${MANIFEST_FILE}` : fileProblem(error)
    const advice = `Name the directory that avatar-kv backup made; the name of an unfinished one ends in .part.`
    throw new BackupError('not_a_backup', `${path} is not a backup: ${why}. ${advice}`, {
      cause: error,
    })
  }
  throw new BackupError(
    'not_a_backup',
    `${path} is not a backup: its ${MANIFEST_FILE} is too long. Name the directory of a backup.`,
  )
}
