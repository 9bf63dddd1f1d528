/**
 * Stores hosting changes in a file: one line for each set of changes. The file is compacted once most of it is history.
 *
 * Guaranteed: a set of changes is on disk (fsync) once `append` resolved, as a whole or not at all; a last line that a crash
 * cut short is dropped; any other damaged line is an error, so a node never starts with a part of its rules.
 */
import { createHash } from 'node:crypto'
import { open, readFile, rename, rm, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'

import { decodeText } from '../platform/decode-text.ts'
import { fileProblem, PRIVATE_FILE_MODE, syncDirectory } from '../platform/files.ts'
import { codeOf, messageOf } from '../platform/errors.ts'
import { HostingError } from './errors.ts'
import type { HostingChange } from './register.ts'

export interface Journal {
  /** Sets of changes since the file was made. */
  readonly lines: number
  /** Calls must not overlap. */
  append(changes: readonly HostingChange[]): Promise<void>
  /** Replaces the content of the file with these changes. Calls must not overlap. */
  rewrite(changes: Iterable<HostingChange>): Promise<void>
  close(): Promise<void>
}

const FORMAT = '{"format":"avatar-kv-hosting/1"}'
/** Hex digits of SHA-256 before each line: enough to detect accidental damage. */
const CHECK_DIGITS = 8
/** Length of the longest byte order mark. */
const ENCODING_MARK_BYTES = 3
/** Changes in one line of a compacted file. */
const CHANGES_PER_LINE = 256

/**
 * Opens a journal, or creates it.
 *
 * @param apply called with every change in the file, in order
 * @param options.lost given if the journal was created before: the error to throw if the file is missing or empty
 * @throws HostingError `unreadable`, `lost`
 */
export async function openJournal(
  path: string,
  apply: (change: HostingChange) => void,
  options: { readonly lost?: HostingError } = {},
): Promise<Journal> {
  let file: FileJournal | undefined
  try {
    file = new FileJournal(path, await openOrMake(path, options.lost))
    // An interrupted `rewrite` leaves this file.
    await rm(`${path}.new`, { force: true })
    for (const change of await file.load(options.lost)) apply(change)
    return file
  } catch (error) {
    await file?.close()
    if (error instanceof HostingError) throw error
    const why = fileProblem(error)
    throw new HostingError('unreadable', `Cannot use the hosting file ${path}: ${why}.`, { cause: error })
  }
}

class FileJournal implements Journal {
  lines = 0
  readonly #path: string
  #file: FileHandle
  /** Length of the valid part of the file, in bytes. */
  #length = 0
  #isBroken = false

  constructor(path: string, file: FileHandle) {
    this.#path = path
    this.#file = file
  }

  /** Reads all changes and cuts off an incomplete last line. */
  async load(lost: HostingError | undefined): Promise<HostingChange[]> {
    const bytes = await readFile(this.#path)
    // Throws an error that names the encoding, if an editor saved the file as UTF-16. The loop below finds other damage.
    decodeText(bytes.subarray(0, ENCODING_MARK_BYTES))
    const changes: HostingChange[] = []
    let number = 0
    for (let at = 0; at < bytes.length;) {
      number += 1
      const end = bytes.indexOf(0x0a, at)
      const isLast = end < 0 || end === bytes.length - 1
      const found = end < 0 ? undefined : readLine(withoutMark(bytes.toString('utf8', at, end)), number === 1)
      if (found === undefined) {
        // Each line is written and synced before the next one, so a crash can cut short only the last one.
        if (isLast && (number > 1 || line(FORMAT).startsWith(bytes.toString('utf8')))) break
        throw new HostingError(
          'unreadable',
          `Line ${number} of ${this.#path} is damaged. Restore the file from a backup. If you remove it, all lists are empty.`,
        )
      }
      for (const change of found) changes.push(change)
      at = end + 1
      this.#length = at
    }
    if (this.#length === 0 && lost !== undefined) throw lost
    this.lines = number
    if (this.#length === 0) await this.#write(line(FORMAT))
    else if (this.#length < bytes.length) await this.#file.truncate(this.#length)
    return changes
  }

  async append(changes: readonly HostingChange[]): Promise<void> {
    if (changes.length === 0) return
    if (this.#isBroken) throw new HostingError('failed', `An earlier write to ${this.#path} failed. Restart the node.`)
    try {
      await this.#write(line(JSON.stringify(changes)))
      this.lines += 1
    } catch (error) {
      await this.#file.truncate(this.#length).catch(() => {
        this.#isBroken = true
      })
      throw new HostingError('failed', `Cannot write ${this.#path}: ${messageOf(error)}`, { cause: error })
    }
  }

  async rewrite(changes: Iterable<HostingChange>): Promise<void> {
    const lines = [line(FORMAT)]
    let some: HostingChange[] = []
    for (const change of changes) {
      if (some.push(change) < CHANGES_PER_LINE) continue
      lines.push(line(JSON.stringify(some)))
      some = []
    }
    if (some.length > 0) lines.push(line(JSON.stringify(some)))
    const bytes = Buffer.from(lines.join(''))
    const path = `${this.#path}.new`
    const file = await open(path, 'w+', PRIVATE_FILE_MODE)
    try {
      await file.writeFile(bytes)
      await file.sync()
      await rename(path, this.#path)
    } catch (error) {
      await file.close()
      throw new HostingError('failed', `Cannot compact ${this.#path}: ${messageOf(error)}`, { cause: error })
    }
    const old = this.#file
    this.#file = file
    this.#length = bytes.length
    this.lines = lines.length
    await old.close()
    await syncDirectory(dirname(this.#path))
  }

  async close(): Promise<void> {
    await this.#file.close()
  }

  async #write(text: string): Promise<void> {
    const bytes = Buffer.from(text)
    for (let at = 0; at < bytes.length;) {
      const { bytesWritten } = await this.#file.write(bytes, at, bytes.length - at, this.#length + at)
      at += bytesWritten
    }
    await this.#file.sync()
    this.#length += bytes.length
  }
}

async function openOrMake(path: string, lost: HostingError | undefined): Promise<FileHandle> {
  try {
    return await open(path, 'r+')
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    if (lost !== undefined) throw lost
  }
  const file = await open(path, 'wx+', PRIVATE_FILE_MODE)
  await syncDirectory(dirname(path))
  return file
}

function line(json: string): string {
  return `${checkOf(json)} ${json}\n`
}

function checkOf(json: string): string {
  return createHash('sha256').update(json).digest('hex').slice(0, CHECK_DIGITS)
}

/** Text without the byte order mark that some editors write. */
function withoutMark(text: string): string {
  return text.startsWith('\ufeff') ? text.slice(1) : text
}

/** Returns the changes of a line; undefined if it is damaged. */
function readLine(text: string, isFirst: boolean): HostingChange[] | undefined {
  const json = text.slice(CHECK_DIGITS + 1)
  if (text !== `${checkOf(json)} ${json}`) return undefined
  if (isFirst) return json === FORMAT ? [] : undefined
  return JSON.parse(json) as HostingChange[]
}
