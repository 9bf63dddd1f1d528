import { mkdir, readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { messageOf } from './errors.ts'

import { decodeText } from './decode-text.ts'

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
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return REASONS[code] ?? messageOf(error)
}

/**
 * Reads a text file in UTF-8.
 *
 * @throws the error of the operating system, or that of `decodeText`
 */
export async function readTextFile(path: string): Promise<string> {
  return decodeText(await readFile(path))
}

/**
 * Creates a folder and its missing parent folders.
 *
 * Does not use `mkdir` with `recursive`: if an existing folder answers ENOENT, as folders in /proc do, Node.js 20 to 24 retry
 * forever in a thread that no signal ends.
 *
 * @param mode mode of every created folder
 * @throws the error of the operating system
 */
export async function makeDirectory(path: string, mode: number): Promise<void> {
  if (await makeOne(path, mode)) return
  const parent = dirname(path)
  if (parent !== path) await makeDirectory(parent, mode)
  if (!(await makeOne(path, mode)))
    throw Object.assign(new Error(`No such file or folder: ${path}`), { code: 'ENOENT', syscall: 'mkdir', path })
}

/** Creates a folder if it does not exist. Returns false if its parent folder is missing. */
async function makeOne(path: string, mode: number): Promise<boolean> {
  try {
    await mkdir(path, { mode })
    return true
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
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
