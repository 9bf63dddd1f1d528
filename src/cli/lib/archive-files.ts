import { createReadStream, existsSync, rmSync } from 'node:fs'
import { open, rename, rm, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { once } from 'node:events'
import type { Writable } from 'node:stream'

import { codeOf } from '../../platform/errors.ts'
import { fileProblem } from '../../platform/files.ts'
import type { CommandContext } from './context.ts'
import { CliError } from './errors.ts'

const READ_BYTES = 256 * 1024
/** Ends the name of an unfinished export. */
const PART_SUFFIX = '.part'

/**
 * Opens an archive in a file or on standard input. `read` returns the bytes read so far.
 *
 * @throws CliError if there is no such file
 */
export async function openInput(context: CommandContext, file: string) {
  let read = 0
  const counted = async function* (stream: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of stream) {
        const bytes = chunk as Uint8Array
        read += bytes.length
        yield bytes
      }
    } catch (error) {
      throw new CliError('failed', `Cannot read ${file}: ${fileProblem(error)}.`)
    }
  }
  if (file === '-') {
    if (context.stdin.isTTY === true) throw new CliError('usage', 'Standard input is a terminal; name a file.')
    return { name: 'standard input', totalBytes: undefined, chunks: counted(context.stdin), read: () => read }
  }
  const path = resolve(context.cwd, file)
  try {
    const about = await stat(path)
    if (about.isDirectory()) throw new Error('it is a folder, not a file')
    const chunks = counted(createReadStream(path, { highWaterMark: READ_BYTES }))
    return { name: file, totalBytes: about.isFile() ? about.size : undefined, chunks, read: () => read }
  } catch (error) {
    throw new CliError('failed', `Cannot read ${file}: ${fileProblem(error)}.`)
  }
}

/**
 * Writes chunks to `FILE.part` and then renames it, so that a file of that name is always whole.
 *
 * @param check called with the path of the part before it is renamed; if it throws, the file is not made
 * @throws CliError if the file exists already (without `force`) or cannot be written; the part is removed then
 */
export async function writeFileWhole(
  chunks: AsyncIterable<Uint8Array>,
  path: string,
  options: {
    readonly force: boolean
    readonly check: (part: string) => Promise<void>
    readonly onInterrupt: CommandContext['onInterrupt']
  },
): Promise<number> {
  if (!options.force && existsSync(path)) {
    throw new CliError('failed', `${path} is there already; choose another --out, or add --force to replace it.`)
  }
  const part = `${path}${PART_SUFFIX}`
  let bytes = 0
  const forget = options.onInterrupt(() => rmSync(part, { force: true }))
  try {
    const handle = await open(part, 'w').catch((error: unknown) => {
      throw new CliError('failed', `Cannot write ${part}: ${fileProblem(error)}.`)
    })
    try {
      for await (const chunk of chunks) {
        // Not `write`: that may write less than it was given.
        await handle.appendFile(chunk)
        bytes += chunk.length
      }
      await handle.sync()
    } finally {
      await handle.close()
    }
    await options.check(part)
    await rename(part, path)
    return bytes
  } catch (error) {
    await rm(part, { force: true })
    if (codeOf(error) === 'ENOSPC') throw new CliError('failed', `Cannot write ${path}: ${fileProblem(error)}.`)
    throw error
  } finally {
    forget()
  }
}

/** Writes chunks to standard output, as fast as they are taken. */
export async function writeOut(chunks: AsyncIterable<Uint8Array>, stdout: Writable): Promise<number> {
  let bytes = 0
  for await (const chunk of chunks) {
    bytes += chunk.length
    if (!stdout.write(chunk)) await once(stdout, 'drain')
  }
  return bytes
}
