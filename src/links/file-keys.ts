import { randomUUID } from 'node:crypto'
import { link, mkdir, open, readFile, rm, stat } from 'node:fs/promises'
import { platform } from 'node:os'
import { join } from 'node:path'
import { bytesToHex } from '@noble/hashes/utils.js'
import { ClientError } from '../client/errors.ts'
import { codeOf, messageOf } from '../platform/errors.ts'
import { parseSecretKey } from '../record/keys.ts'
import type { AppKeyStore } from './types.ts'

/** Mode bits that let other users read or write. */
const OTHERS_MODE = 0o077

/**
 * Stores keys in files of a directory, one line of 64 hex digits each, as the command line does. Only their owner can read them (mode 0600;
 * the directory has 0700).
 *
 * @param directory made if it is missing
 */
export function fileKeyStore(directory: string): AppKeyStore {
  return {
    async getOrCreate(name, make) {
      const path = join(directory, `${name}.key`)
      try {
        return (await read(path)) ?? (await create(directory, path, make()))
      } catch (error) {
        if (error instanceof ClientError) throw error
        throw new ClientError(
          'unsupported',
          `Cannot use the key file ${path}: ${messageOf(error)}. Check the directory and its rights.`,
          {
            cause: error,
          },
        )
      }
    },
  }
}

async function read(path: string): Promise<Uint8Array | undefined> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return undefined
  // Windows has no such bits.
  if (platform() !== 'win32' && ((await stat(path)).mode & OTHERS_MODE) !== 0) {
    throw new ClientError(
      'unsupported',
      `Other users can read the app's secret key in ${path}. Run chmod 600 ${path}, or delete it to get a new key.`,
    )
  }
  try {
    return parseSecretKey(text.trim())
  } catch (error) {
    throw new ClientError(
      'unsupported',
      `${path} holds no secret key: expected 64 hex digits. Restore it, or delete it to get a new key.`,
      {
        cause: error,
      },
    )
  }
}

/** Writes beside, and then gives it its name: a file is whole or absent, and one that another process made meanwhile is used. */
async function create(directory: string, path: string, key: Uint8Array): Promise<Uint8Array> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const draft = `${path}.${randomUUID()}`
  try {
    const file = await open(draft, 'wx', 0o600)
    try {
      await file.writeFile(`${bytesToHex(key)}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await link(draft, path).catch((error: unknown) => {
      if (codeOf(error) !== 'EEXIST') throw error
    })
  } finally {
    await rm(draft, { force: true })
  }
  return (await read(path)) as Uint8Array
}
