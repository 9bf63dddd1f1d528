import { randomUUID } from 'node:crypto'
import { link, open, rm } from 'node:fs/promises'
import { join } from 'node:path'

import { codeOf } from '../platform/errors.ts'
import type { Randomness } from '../platform/environment.ts'
import { fileProblem, readTextFile } from '../platform/files.ts'
import { HostingError } from './errors.ts'

/** In the data directory: a person who can read it is the operator. */
const FILE_NAME = 'operator-token'
/** Read and written by its owner alone. */
const FILE_MODE = 0o600
/** Nobody guesses 256 bits. */
const TOKEN_BYTES = 32
const TOKEN = /^[0-9a-f]{64}$/

/**
 * The operator's token: 64 hex digits in `operator-token` in the data directory, file mode 0600; made when absent, whole or
 * not at all. The HTTP interface takes a caller that sends it for the operator.
 *
 * @throws HostingError `unreadable` where the file is no token, or can be neither read nor made
 */
export async function loadOperatorToken(dataDir: string, random: Randomness): Promise<string> {
  const known = await readOperatorToken(dataDir)
  if (known !== undefined) return known
  const path = join(dataDir, FILE_NAME)
  const temporary = join(dataDir, `.${FILE_NAME}.${randomUUID()}`)
  const token = Buffer.from(random.bytes(TOKEN_BYTES)).toString('hex')
  try {
    const file = await open(temporary, 'wx', FILE_MODE)
    try {
      await file.writeFile(`${token}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    // Unlike rename, link never replaces a token that another process put there meanwhile.
    await link(temporary, path)
    return token
  } catch (error) {
    const other = await readOperatorToken(dataDir)
    if (other !== undefined) return other
    throw new HostingError('unreadable', `Cannot make the operator's token ${path}: ${fileProblem(error)}.`)
  } finally {
    await rm(temporary, { force: true })
  }
}

/**
 * The token of the node that uses this data directory; undefined where none was made yet.
 *
 * @throws HostingError `unreadable` where the file is no token, or cannot be read
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
    `${path} does not hold an operator's token, which is 64 hex digits. Restore it, or remove it and start the node again: ` +
      'the start makes a new one.',
  )
}
