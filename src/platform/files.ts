import { mkdir, readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { messageOf } from './errors.ts'

import { decodeText } from './decode-text.ts'

/** Why the operating system refused, and what to do, by error code; each follows "Cannot …: " and gets a full stop. */
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder',
  EISDIR: 'it is a folder, not a file',
  ENOTDIR: 'a part of this path is a file, not a folder',
  EEXIST: 'there is something of that name already',
  EACCES: 'permission denied. Run this as a user that has access, or change owner or mode',
  EPERM: 'permission denied. Run this as a user that has access, or change owner or mode',
  ENOSPC: 'the disk is full. Make room and run this again',
  EDQUOT: 'your disk quota is used up. Make room and run this again',
  EROFS: 'the file system is read-only',
  ELOOP: 'its symbolic links run in a circle',
  ENAMETOOLONG: 'the name is too long',
  EMFILE: 'too many files are open. Raise the limit (ulimit -n)',
}

/** Why a file or folder cannot be used, in words; the message of an error that has no words of its own here. */
export function fileProblem(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return REASONS[code] ?? messageOf(error)
}

/**
 * Reads a file that people may edit, or that this software has written, as text.
 *
 * @throws the error of the operating system, or that of `decodeText`
 */
export async function readTextFile(path: string): Promise<string> {
  return decodeText(await readFile(path))
}

/**
 * Makes a folder and the folders above it, where they are not there yet.
 *
 * Not `mkdir` with `recursive`: where a folder that is there answers ENOENT, as those below /proc do, Node.js 20 to 24 try
 * again for ever, in a thread that no signal ends.
 *
 * @param mode of every folder that is made
 * @throws the error of the operating system
 */
export async function makeDirectory(path: string, mode: number): Promise<void> {
  if (await makeOne(path, mode)) return
  const parent = dirname(path)
  if (parent !== path) await makeDirectory(parent, mode)
  if (!(await makeOne(path, mode)))
    throw Object.assign(new Error(`No such file or folder: ${path}`), { code: 'ENOENT', syscall: 'mkdir', path })
}

/** Makes a folder if need be; false where the folder above it is said not to be there. */
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
