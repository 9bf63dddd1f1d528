import { open, readFile, rm, stat } from 'node:fs/promises'
import { resolve } from 'node:path'

import { parseSecretKey } from '../record/keys.ts'
import type { CommandContext } from './context.ts'
import { CliError, codeOf, messageOf } from './errors.ts'

export const DEFAULT_KEY_FILE = './avatar.key'

/** A key file holds 64 hex digits; anything far longer is some other file. */
const MAX_KEY_FILE_BYTES = 1024

/** Mode bits that let others than the owner read or write. */
const OTHERS_MODE = 0o077

/**
 * Writes a secret key as one line of 64 hex digits, to disk (fsync), readable by the owner alone (mode 0600).
 *
 * @throws CliError when the file exists (it is never overwritten) or cannot be written
 */
export async function writeKeyFile(context: CommandContext, file: string, secretKey: Uint8Array): Promise<void> {
  const path = resolve(context.cwd, file)
  const handle = await open(path, 'wx', 0o600).catch((error: unknown) => {
    if (codeOf(error) === 'EEXIST') {
      throw new CliError('failed', `${file} exists already and is not overwritten: it may hold the only copy of a key.`)
    }
    throw new CliError('failed', `Cannot create the key file ${file}: ${messageOf(error)}`)
  })
  try {
    await handle.writeFile(`${Buffer.from(secretKey).toString('hex')}\n`)
    await handle.sync()
    await handle.close()
  } catch (error) {
    await handle.close().catch(() => undefined)
    await rm(path, { force: true })
    throw new CliError('failed', `Cannot write the key file ${file}: ${messageOf(error)}`)
  }
}

/**
 * Reads a secret key (32 bytes), and warns where others than the owner can read the file.
 *
 * @throws CliError when there is no such file or it holds no key
 */
export async function readKeyFile(context: CommandContext, file: string): Promise<Uint8Array> {
  const path = resolve(context.cwd, file)
  let text: string
  try {
    const { mode, size } = await stat(path)
    if (size > MAX_KEY_FILE_BYTES) throw new CliError('failed', `${file} is too long for a key file.`)
    if ((mode & OTHERS_MODE) !== 0) {
      context.note(`Warning: others can read the secret key in ${file}; take that from them with: chmod 600 ${file}`)
    }
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof CliError) throw error
    if (codeOf(error) === 'ENOENT') {
      throw new CliError('failed', `There is no key file ${file}. Create one with: avatar-kv key create ${file}`)
    }
    throw new CliError('failed', `Cannot read the key file ${file}: ${messageOf(error)}`)
  }
  try {
    return parseSecretKey(text.trim())
  } catch (error) {
    throw new CliError('failed', `${file} does not hold a secret key: ${messageOf(error)}`)
  }
}
