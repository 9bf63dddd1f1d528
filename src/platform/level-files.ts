/**
 * Distinguishes a LevelDB directory that was never created from one that lost files. LevelDB cannot: if `CURRENT` is lost, it
 * considers the directory new and deletes every table in it.
 *
 * A mark says that a database was created here. It is a small JSON file outside of LevelDB's directory, written when the new
 * database is on disk and before anything is acknowledged. A process that is killed in between leaves a database without a mark
 * and without data. Databases of earlier versions have no mark: they get one when they are opened.
 *
 * Not found here: a lost or damaged log, and damaged tables. LevelDB itself reports missing tables.
 */
import { readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { decodeText } from './decode-text.ts'
import { codeOf } from './errors.ts'
import { PRIVATE_FILE_MODE, syncDirectory } from './files.ts'

/**
 * The state of a LevelDB directory:
 * - `absent`: no database, at most the leftovers of an interrupted creation;
 * - `present`: `CURRENT` and the manifest that it names exist;
 * - `incomplete`: files of a database exist, but the file `missing` does not.
 */
export type LevelFiles =
  | { readonly state: 'absent' | 'present' }
  | { readonly state: 'incomplete'; readonly missing: string }

/** The first manifest of a database. LevelDB writes it before `CURRENT`. */
const FIRST_MANIFEST = 'MANIFEST-000001'
const MANIFEST = /^MANIFEST-[0-9]+$/
const DATA_FILE = /^[0-9]+\.(?:log|ldb|sst)$/

/** LevelDB's error text if tables of its manifest are missing. It has changed nothing then. */
export const MISSING_TABLES = /\b[0-9]+ missing files\b/

export async function inspectLevelFiles(directory: string): Promise<LevelFiles> {
  const names = (await orNothing(readdir(directory))) ?? []
  if (!names.includes('CURRENT')) {
    const hasData = names.some((name) => DATA_FILE.test(name) || (MANIFEST.test(name) && name !== FIRST_MANIFEST))
    return hasData ? { state: 'incomplete', missing: 'CURRENT' } : { state: 'absent' }
  }
  const manifest = /^(MANIFEST-[0-9]+)\n$/.exec(await readFile(join(directory, 'CURRENT'), 'latin1'))?.[1]
  if (manifest === undefined) return { state: 'incomplete', missing: 'the content of CURRENT' }
  return names.includes(manifest) ? { state: 'present' } : { state: 'incomplete', missing: manifest }
}

/** Reads the members of a mark; undefined if there is no mark, `{}` if the file is damaged, as it still proves a mark. */
export async function readMarkFile(path: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  const bytes = await orNothing(readFile(path))
  if (bytes === undefined) return undefined
  try {
    const members: unknown = JSON.parse(decodeText(bytes))
    return typeof members === 'object' && members !== null ? { ...members } : {}
  } catch {
    return {}
  }
}

/** Replaces a mark atomically; on disk (fsync) when it resolves. Calls must not overlap. */
export async function writeMarkFile(path: string, members: Readonly<Record<string, unknown>>): Promise<void> {
  const temporary = `${path}.new`
  await writeFile(temporary, `${JSON.stringify(members)}\n`, { mode: PRIVATE_FILE_MODE, flush: true })
  await rename(temporary, path)
  await syncDirectory(dirname(path))
}

/** Awaits a read; undefined if the file or folder does not exist. */
async function orNothing<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}
