import { open, rm, stat } from 'node:fs/promises'
import { resolve } from 'node:path'

import { codeOf } from '../../platform/errors.ts'
import { fileProblem } from '../../platform/files.ts'
import { avatarOf, parseSecretKey } from '../../record/keys.ts'
import type { Avatar } from '../../record/types.ts'
import type { CommandContext } from './context.ts'
import { CliError } from './errors.ts'
import { readInput } from './read-input.ts'

export const DEFAULT_KEY_FILE = './avatar.key'

/** A key file holds 64 hex digits; a far longer file is another one. */
const MAX_KEY_FILE_BYTES = 1024

/** Mode bits that let other users read or write. */
const OTHERS_MODE = 0o077

/**
 * Writes a secret key as one line of 64 hex digits, to disk (fsync), with mode 0600.
 *
 * @throws CliError if the file exists (it is never overwritten) or cannot be written
 */
export async function writeKeyFile(context: CommandContext, file: string, secretKey: Uint8Array): Promise<void> {
  const path = resolve(context.cwd, file)
  const handle = await open(path, 'wx', 0o600).catch((error: unknown) => {
    if (codeOf(error) === 'EEXIST') {
      throw new CliError(
        'failed',
        `${file} exists already and is not overwritten: it may hold the only copy of a key. Name another file.`,
      )
    }
    throw new CliError('failed', `Cannot create the key file ${file}: ${fileProblem(error)}.`)
  })
  try {
    await handle.writeFile(`${Buffer.from(secretKey).toString('hex')}\n`)
    await handle.sync()
    await handle.close()
  } catch (error) {
    await handle.close().catch(() => undefined)
    await rm(path, { force: true })
    throw new CliError('failed', `Cannot write the key file ${file}: ${fileProblem(error)}.`)
  }
}

/**
 * Reads a secret key (32 bytes), and warns if other users can read the file.
 *
 * @param option the option that names the file, for messages
 * @throws CliError if the file is missing or holds no key
 */
export async function readKeyFile(context: CommandContext, file: string, option = '--key FILE'): Promise<Uint8Array> {
  const longer = 'Name another file'
  const input = { what: 'the secret key', file, maxBytes: MAX_KEY_FILE_BYTES, longer }
  const text = await readInput(context, input).catch((error: unknown) => {
    if (codeOf(error instanceof Error ? error.cause : undefined) !== 'ENOENT') throw error
    throw new CliError('failed', `There is no key file ${file}. Create one with "avatar-kv key create ${file}".`)
  })
  let secretKey: Uint8Array
  try {
    secretKey = parseSecretKey(text.trim())
  } catch {
    throw new CliError(
      'failed',
      `${file} does not hold a secret key: expected 64 hex digits, as avatar-kv key create writes them. Name yours with ${option}.`,
    )
  }
  // Checked last: the mode of a file that is not a key does not matter.
  if (file !== '-' && ((await stat(resolve(context.cwd, file))).mode & OTHERS_MODE) !== 0) {
    context.note(`Warning: other users can read the secret key in ${file}. Run: chmod 600 ${file}`)
  }
  return secretKey
}

/**
 * Reads the secret key of an avatar.
 *
 * @throws CliError as `readKeyFile`; `usage` if the file holds the key of another avatar
 */
export async function readKeyOf(context: CommandContext, file: string, avatar: Avatar): Promise<Uint8Array> {
  const secretKey = await readKeyFile(context, file)
  if (avatarOf(secretKey) === avatar) return secretKey
  throw new CliError('usage', `${file} is the key of ${avatarOf(secretKey)}, not of ${avatar}.`)
}
