import { join } from 'node:path'

import { codeOf } from '../platform/errors.ts'
import type { Randomness } from '../platform/environment.ts'
import { createFileOnce, fileProblem, readTextFile } from '../platform/files.ts'
import { HostingError } from './errors.ts'

/** In the data directory. A person who can read it counts as the operator. */
const FILE_NAME = 'operator-token'
/** 256 bits: cannot be guessed. */
const TOKEN_BYTES = 32
const TOKEN = /^[0-9a-f]{64}$/

/**
 * Returns the operator's token, 64 hex digits, from the file `operator-token` in the data directory (mode 0600). Creates the
 * file atomically if it is missing. The HTTP interface treats a caller that sends the token as the operator.
 *
 * @throws HostingError `unreadable` if the file holds no token, or can be neither read nor created
 */
export async function loadOperatorToken(dataDir: string, random: Randomness): Promise<string> {
  const known = await readOperatorToken(dataDir)
  if (known !== undefined) return known
  const path = join(dataDir, FILE_NAME)
  const token = Buffer.from(random.bytes(TOKEN_BYTES)).toString('hex')
  let why = 'another process creates and removes it'
  try {
    if (await createFileOnce(path, `${token}\n`)) return token
  } catch (error) {
    why = fileProblem(error)
  }
  const other = await readOperatorToken(dataDir)
  if (other !== undefined) return other
  throw new HostingError('unreadable', `Cannot create the operator's token ${path}: ${why}.`)
}

/**
 * Returns the token of the node that uses this data directory; undefined if there is none yet.
 *
 * @throws HostingError `unreadable` if the file holds no token or cannot be read
 */
export async function readOperatorToken(dataDir: string): Promise<string | undefined> {
  const path = join(dataDir, FILE_NAME)
  let text: string
  try {
    text = (await readTextFile(path)).trim()
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw new HostingError('unreadable', `Cannot read the operator's token ${path}: ${fileProblem(error)}.`)
  }
  if (TOKEN.test(text)) return text
  throw new HostingError(
    'unreadable',
    `${path} does not hold an operator's token, which is 64 hex digits. Restore the file, or remove it and restart the ` +
      'node, which then creates a new token.',
  )
}
