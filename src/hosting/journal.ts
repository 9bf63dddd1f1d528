/**
 * Changes of hosting on disk: a file that grows by one line for each set of changes, and is written anew once most of it
 * is history.
 *
 * Guaranteed: changes are on disk (fsync) once `append` resolved, all of a set or none; a line that an end of the process
 * has cut short is dropped; a line that was damaged later is told, and nothing is started with half of the rules.
 */
import { createHash } from 'node:crypto'
import { open, readFile, rename, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'

import { decodeText } from '../platform/decode-text.ts'
import { fileProblem } from '../platform/files.ts'
import { codeOf, messageOf } from '../platform/errors.ts'
import { HostingError } from './errors.ts'
import type { HostingChange } from './register.ts'

export interface Journal {
  /** Sets of changes since the file was made. */
  readonly lines: number
  /** Calls must not overlap. */
  append(changes: readonly HostingChange[]): Promise<void>
  /** Puts what these changes make in the place of all that was. Calls must not overlap. */
  rewrite(changes: Iterable<HostingChange>): Promise<void>
  close(): Promise<void>
}

const FORMAT = '{"format":"avatar-kv-hosting/1"}'
const FILE_MODE = 0o600
/** Digits of SHA-256 before each line: enough against accidents. */
const CHECK_DIGITS = 8
/** As long as the longest mark by which the encoding of a file is known. */
const ENCODING_MARK_BYTES = 3
/** Changes in one line of a file that is written anew. */
const CHANGES_PER_LINE = 256

/**
 * Opens a journal. Makes it if it was never made.
 *
 * @param apply called with every change in the file, in order
 * @param options.lost the error to throw where the file or its content is gone, because the journal was made before
 * @throws HostingError `unreadable`, `lost`
 */
export async function openJournal(
  path: string,
  apply: (change: HostingChange) => void,
  options: { readonly lost?: HostingError } = {},
): Promise<Journal> {
  let file: FileJournal | undefined
  try {
    file = await FileJournal.open(path, options.lost)
    for (const change of await file.load()) apply(change)
    return file
  } catch (error) {
    await file?.close()
    if (error instanceof HostingError) throw error
    const why = fileProblem(error)
    throw new HostingError('unreadable', `The hosting file ${path} cannot be used: ${why}.`, { cause: error })
  }
}

/** A journal that is gone with the process. */
export function memoryJournal(): Journal {
  let lines = 0
  return {
    get lines() {
      return lines
    },
    append() {
      lines += 1
      return Promise.resolve()
    },
    rewrite() {
      lines = 0
      return Promise.resolve()
    },
    close: () => Promise.resolve(),
  }
}

class FileJournal implements Journal {
  lines = 0
  readonly #path: string
  #file: FileHandle
  /** Bytes that are sure. */
  #length = 0
  #isBroken = false
  readonly #lost: HostingError | undefined

  private constructor(path: string, file: FileHandle, lost: HostingError | undefined) {
    this.#path = path
    this.#file = file
    this.#lost = lost
  }

  static async open(path: string, lost: HostingError | undefined): Promise<FileJournal> {
    const file = await openOrMake(path, lost)
    // Left by a rewrite that was interrupted.
    await rm(`${path}.new`, { force: true })
    return new FileJournal(path, file, lost)
  }

  /** Reads all, and drops what was cut short. */
  async load(): Promise<HostingChange[]> {
    const bytes = await readFile(this.#path)
    // Names an encoding that an editor or a tool gave to the file. Damage is found line by line below.
    decodeText(bytes.subarray(0, ENCODING_MARK_BYTES))
    const changes: HostingChange[] = []
    let number = 0
    for (let at = 0; at < bytes.length;) {
      number += 1
      const end = bytes.indexOf(0x0a, at)
      const isLast = end < 0 || end === bytes.length - 1
      const found = end < 0 ? undefined : readLine(withoutMark(bytes.toString('utf8', at, end)), number === 1)
      if (found === undefined) {
        // Whole lines are written and synced one after the other, so that only the last one can be cut short.
        if (isLast && (number > 1 || line(FORMAT).startsWith(bytes.toString('utf8')))) break
        throw new HostingError(
          'unreadable',
          `Line ${number} of ${this.#path} is damaged. Restore the file from a backup; or remove it, and all lists are empty.`,
        )
      }
      for (const change of found) changes.push(change)
      at = end + 1
      this.#length = at
    }
    if (this.#length === 0 && this.#lost !== undefined) throw this.#lost
    this.lines = number
    if (this.#length === 0) await this.#write(line(FORMAT))
    else if (this.#length < bytes.length) await this.#file.truncate(this.#length)
    return changes
  }

  async append(changes: readonly HostingChange[]): Promise<void> {
    if (changes.length === 0) return
    if (this.#isBroken) throw new HostingError('failed', 'The hosting file could not be written; start the node again.')
    try {
      await this.#write(line(JSON.stringify(changes)))
      this.lines += 1
    } catch (error) {
      await this.#file.truncate(this.#length).catch(() => {
        this.#isBroken = true
      })
      throw new HostingError('failed', `The hosting file cannot be written: ${messageOf(error)}`, { cause: error })
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
    const file = await open(path, 'w+', FILE_MODE)
    try {
      await file.writeFile(bytes)
      await file.sync()
      await rename(path, this.#path)
    } catch (error) {
      await file.close()
      throw new HostingError('failed', `The hosting file cannot be written anew: ${messageOf(error)}`, { cause: error })
    }
    const old = this.#file
    this.#file = file
    this.#length = bytes.length
    this.lines = lines.length
    await old.close()
    await syncFolder(this.#path)
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
  const file = await open(path, 'wx+', FILE_MODE)
  await syncFolder(path)
  return file
}

/** So that a new name in a folder outlives a power cut. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(dirname(path), 'r')
  try {
    await folder.sync()
  } catch {
    // Not every system can.
  } finally {
    await folder.close()
  }
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

/** The changes of a line; undefined where it is damaged. */
function readLine(text: string, isFirst: boolean): HostingChange[] | undefined {
  const json = text.slice(CHECK_DIGITS + 1)
  if (text !== `${checkOf(json)} ${json}`) return undefined
  if (isFirst) return json === FORMAT ? [] : undefined
  return JSON.parse(json) as HostingChange[]
}
