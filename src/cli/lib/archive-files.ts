import { createReadStream, existsSync, rmSync } from 'node:fs'
import { open, rename, rm, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { once } from 'node:events'
import type { Writable } from 'node:stream'

import { codeOf } from '../../platform/errors.ts'
import { fileProblem } from '../../platform/files.ts'
import type { CommandContext } from './context.ts'
import { CliError } from './errors.ts'

/** A file is read in pieces of this size. */
const READ_BYTES = 256 * 1024
/** Of an export that is not whole yet. */
const PART_SUFFIX = '.part'

/** An archive to be read, in a file or from standard input. */
export interface ArchiveInput {
  readonly name: string
  /** Size of the file; undefined for standard input. */
  readonly totalBytes: number | undefined
  readonly chunks: AsyncIterable<Uint8Array>
  /** Bytes read so far. */
  read(): number
}

/** @throws CliError where there is no such file */
export async function openInput(context: CommandContext, file: string): Promise<ArchiveInput> {
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
    const stream = createReadStream(path, { highWaterMark: READ_BYTES })
    return {
      name: file,
      totalBytes: about.isFile() ? about.size : undefined,
      chunks: counted(stream),
      read: () => read,
    }
  } catch (error) {
    const why = fileProblem(error)
    throw new CliError('failed', `Cannot read ${file}: ${why}.`)
  }
}

/**
 * Writes chunks to a file by way of `FILE.part`, so that a file of that name is whole whenever there is one.
 *
 * @param check called with the path of the part before it gets its name; what it throws keeps it from that
 * @throws CliError where the file is there already (without `force`) or cannot be written; the part is removed then
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
