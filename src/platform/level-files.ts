/**
 * Tells a LevelDB directory that was never made from one that lost files. LevelDB cannot: where `CURRENT` is lost, it takes
 * the directory for a new one and deletes every table in it.
 *
 * A mark, a small JSON file of our own outside LevelDB's files, says that a database was made here. It is written once the
 * new database is on disk and before anything is acknowledged, so a process that is killed in between leaves a database
 * without a mark and without data. Databases of earlier versions have no mark either: they get one when they are opened.
 *
 * Not seen here: a lost or damaged log, and tables that are damaged. LevelDB itself reports tables that are gone.
 */
import { open, readdir, readFile, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { codeOf } from './errors.ts'

import { decodeText } from './decode-text.ts'

/**
 * What a LevelDB directory holds:
 * - `absent`: no database, at most what a creation leaves that was interrupted;
 * - `present`: `CURRENT`, and the manifest that it names;
 * - `incomplete`: files of a database, without the one that is named.
 */
export type LevelFiles =
  | { readonly state: 'absent' | 'present' }
  | { readonly state: 'incomplete'; readonly missing: string }

/** The manifest of a database that is being made: LevelDB writes it before `CURRENT`. */
const FIRST_MANIFEST = 'MANIFEST-000001'
const MANIFEST = /^MANIFEST-[0-9]+$/
const DATA_FILE = /^[0-9]+\.(?:log|ldb|sst)$/
const FILE_MODE = 0o600

/** What LevelDB says where tables are gone that its manifest names. It has changed nothing then. */
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

/** The members of a mark: `{}` where the file is damaged, for it still shows that there was one; undefined without one. */
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

/** Replaces a mark, whole or not at all, and has it on disk (fsync) when it resolves. Calls must not overlap. */
export async function writeMarkFile(path: string, members: Readonly<Record<string, unknown>>): Promise<void> {
  const temporary = `${path}.new`
  const file = await open(temporary, 'w', FILE_MODE)
  try {
    await file.writeFile(`${JSON.stringify(members)}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
  const directory = await open(dirname(path), 'r')
  try {
    await directory.sync()
  } catch {
    // Some file systems cannot sync a directory. The mark is whole there too, only a power cut may undo it.
  } finally {
    await directory.close()
  }
}

/** What was read; undefined where nothing of that name is there. */
async function orNothing<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}
