import { randomUUID } from 'node:crypto'
import { access, link, mkdir, open, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

import { decodeText } from './decode-text.ts'
import { codeOf, messageOf } from './errors.ts'

/** Mode of files that only their owner may read and write: keys, tokens, stored records. */
export const PRIVATE_FILE_MODE = 0o600
/** Mode of folders with such files. */
const PRIVATE_FOLDER_MODE = 0o700
/** Errors of file systems that cannot sync a folder. */
const UNSUPPORTED: ReadonlySet<string | undefined> = new Set([
  ...['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'],
  ...['EBADF', 'EISDIR', 'EPERM', 'EACCES'],
])

/** Reason and advice by error code. Each text completes "Cannot …: " and lacks a full stop. */
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder',
  EISDIR: 'it is a folder, not a file',
  ENOTDIR: 'a part of this path is a file, not a folder',
  EEXIST: 'a file or folder of that name exists already',
  EACCES: 'permission denied. Run the command as a user with access, or change the owner or mode',
  EPERM: 'permission denied. Run the command as a user with access, or change the owner or mode',
  ENOSPC: 'the disk is full. Make room and run this again',
  EDQUOT: 'your disk quota is used up. Make room and run this again',
  EROFS: 'the file system is read-only',
  ELOOP: 'its symbolic links form a loop',
  ENAMETOOLONG: 'the name is too long',
  EMFILE: 'too many files are open. Raise the limit (ulimit -n)',
}

/** Explains why a file or folder cannot be used: the text for the error's code, else the error's message. */
export function fileProblem(error: unknown): string {
  return REASONS[codeOf(error) ?? ''] ?? messageOf(error)
}

/**
 * Reads a text file in UTF-8.
 *
 * @throws the error of the operating system, or that of `decodeText`
 */
export async function readTextFile(path: string): Promise<string> {
  return decodeText(await readFile(path))
}

/** Whether there is a file or folder of this name. */
export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

/**
 * Creates a private file with this content, whole and on disk (fsync), unless there is one.
 *
 * @returns whether this call created it; not if another process did, even at the same time
 * @throws the error of the operating system
 */
export async function createFileOnce(path: string, content: Uint8Array | string): Promise<boolean> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}`)
  try {
    await writeFile(temporary, content, { flag: 'wx', mode: PRIVATE_FILE_MODE, flush: true })
    // Unlike rename, link never replaces a file.
    await link(temporary, path)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  } finally {
    await rm(temporary, { force: true })
  }
}

/** Makes created, renamed and removed names in a folder survive a power loss, if its file system can do that. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } catch (error) {
    if (!UNSUPPORTED.has(codeOf(error))) throw error
  } finally {
    await directory.close()
  }
}

/**
 * Creates a folder and its missing parent folders, each for its owner alone (mode 0700).
 *
 * Does not use `mkdir` with `recursive`: if an existing folder answers ENOENT, as folders in /proc do, Node.js 20 to 24 retry
 * forever in a thread that no signal ends.
 *
 * @throws the error of the operating system
 */
export async function makeDirectory(path: string): Promise<void> {
  if (await makeOne(path)) return
  const parent = dirname(path)
  if (parent !== path) await makeDirectory(parent)
  if (!(await makeOne(path)))
    throw Object.assign(new Error(`No such file or folder: ${path}`), { code: 'ENOENT', syscall: 'mkdir', path })
}

/** Creates a folder if it does not exist. Returns false if its parent folder is missing. */
async function makeOne(path: string): Promise<boolean> {
  try {
    await mkdir(path, { mode: PRIVATE_FOLDER_MODE })
    return true
  } catch (error) {
    const code = codeOf(error)
    if (code === 'ENOENT') return false
    if (code === 'EEXIST' && (await isDirectory(path))) return true
    throw error
  }
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (about) => about.isDirectory(),
    () => false,
  )
}
