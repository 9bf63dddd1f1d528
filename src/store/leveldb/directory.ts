/**
 * Checks a LevelDB directory before LevelDB opens it, and repairs files so that LevelDB reads their undamaged parts.
 *
 * LevelDB hides damage. It drops unreadable parts of a log and notes that only in its own LOG file, and it checks no checksums
 * of tables. Found here: a log that is damaged, lost or has a gap; a table that is truncated or damaged; a damaged manifest.
 * Not found here: a last log that was truncated between two rows. Only a mark outside the directory reveals that (`mark.ts`).
 */
import { copyFile, link, mkdir, open, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf } from '../../platform/errors.ts'
import { PRIVATE_FILE_MODE, syncDirectory } from '../../platform/files.ts'
import { readFileWithHoles } from './file-with-holes.ts'
import { readLog, writeLog } from './log-format.ts'
import { decodeManifest, type Manifest } from './manifest.ts'
import { isBlockWhole, TRAILER_BYTES } from './block.ts'
import { checkTable, FOOTER_BYTES, indexPlace, repairTable } from './table-format.ts'
import { decodeBatch } from './write-batch.ts'

export interface FileDamage {
  readonly kind: 'log' | 'table'
  /** The name of the file. */
  readonly file: string
  readonly why: string
  /** The size that a table must have. */
  readonly bytes?: number
}

/** LevelDB must not open the directory: it would delete data that can still be saved. */
export class UnusableDirectoryError extends Error {
  override readonly name = 'UnusableDirectoryError'
}

export interface InspectOptions {
  /** Bytes of tables to check completely. The other tables are checked only for size and index. */
  readonly deepBytes: number
  /** Called for each table that was not checked completely. */
  readonly onShallow?: (table: TableFile) => void
}

/** Tables whose indexes are read at the same time, so that 350 tables (a million records) do not wait for 1,400 reads in a row. */
const INDEXES_AT_ONCE = 16

/** A table in the manifest. */
export interface TableFile {
  readonly file: string
  readonly bytes: number
}

/**
 * Looks for damage. Changes nothing. A database that is open elsewhere may seem damaged.
 *
 * @throws UnusableDirectoryError if the manifest is damaged or does not match the files
 */
export async function inspectDirectory(
  location: string,
  { deepBytes, onShallow }: InspectOptions,
): Promise<FileDamage[]> {
  const names = await readdir(location)
  const manifest = await readManifest(location)
  const damages = await inspectLogs(location, names, manifest)
  let left = deepBytes
  const deep: TableFile[] = []
  const others: TableFile[] = []
  for (const [number, { bytes }] of manifest.tables) {
    const file = fileName(number, 'ldb')
    // LevelDB itself reports a lost table, without changing anything.
    if (!names.includes(file)) continue
    left -= bytes
    ;(left < 0 ? others : deep).push({ file, bytes })
  }
  for (let from = 0; from < others.length; from += INDEXES_AT_ONCE) {
    const step = others.slice(from, from + INDEXES_AT_ONCE)
    const areIndexed = await Promise.all(step.map(({ file, bytes }) => hasIndex(join(location, file), bytes)))
    for (const [at, table] of step.entries()) {
      if (areIndexed[at] === true) onShallow?.(table)
      else deep.push(table)
    }
  }
  for (const { file, bytes } of deep) {
    const content = await readFileWithHoles(join(location, file))
    const { isWhole, blocks } = checkTable(content, bytes)
    if (isWhole) continue
    const why = content.length < bytes ? `it has ${content.length} of ${bytes} bytes` : 'its checksums do not match'
    damages.push({ kind: 'table', file, why: `${why}; ${blocks.length} blocks are undamaged`, bytes })
  }
  return damages
}

/** Whether every block of a table is undamaged; undefined if LevelDB has deleted the table after a compaction. */
export async function isTableWhole(location: string, { file, bytes }: TableFile): Promise<boolean | undefined> {
  try {
    return checkTable(await readFileWithHoles(join(location, file)), bytes).isWhole
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Whether a table has its size and an undamaged index: a check that does not read the whole table. */
async function hasIndex(path: string, bytes: number): Promise<boolean> {
  const file = await open(path, 'r')
  try {
    const footer = Buffer.alloc(FOOTER_BYTES)
    await file.read(footer, 0, FOOTER_BYTES, bytes - FOOTER_BYTES)
    const place = indexPlace(footer)
    if (place === undefined || place.offset + place.length > bytes) return false
    const index = Buffer.alloc(place.length + TRAILER_BYTES)
    await file.read(index, 0, index.length, place.offset)
    return isBlockWhole(index, { offset: 0, length: place.length })
  } catch {
    return false
  } finally {
    await file.close()
  }
}

async function readManifest(location: string): Promise<Manifest> {
  const current = await readFile(join(location, 'CURRENT'), 'latin1')
  const name = current.trimEnd()
  const manifest = decodeManifest(await readFileWithHoles(join(location, name)))
  if (manifest === undefined) throw new UnusableDirectoryError(`${name} is damaged`)
  return manifest
}

async function inspectLogs(location: string, names: readonly string[], manifest: Manifest): Promise<FileDamage[]> {
  const { logNumber, lastSequence, tables } = manifest
  const damages: FileDamage[] = []
  const damaged = (file: string, why: string): unknown => damages.push({ kind: 'log', file, why })
  const logs = numbersOf(names, 'log').filter((number) => number >= logNumber)
  if (logNumber > 0 && logs[0] !== logNumber) {
    const file = fileName(logNumber, 'log')
    // A truncated manifest names an old log, and omits the tables created since.
    const isOld = numbersOf(names, 'ldb').some((number) => number > logNumber && !tables.has(number))
    if (isOld) throw new UnusableDirectoryError(`${file} is lost, and there are tables that the manifest does not list`)
    damaged(file, 'it is lost')
  }
  let next: number | undefined
  for (const number of logs) {
    const file = fileName(number, 'log')
    const { records, isDamaged } = readLog(await readFileWithHoles(join(location, file)))
    let why = isDamaged ? 'its checksums do not match' : undefined
    for (const record of records) {
      const batch = decodeBatch(record)
      if (batch === undefined) why ??= 'it has a malformed batch of rows'
      else if (batch.sequence > (next ?? lastSequence + 1)) why ??= 'rows in it or before it are missing'
      if (batch !== undefined) next = batch.sequence + batch.count
    }
    if (why !== undefined) damaged(file, why)
  }
  return damages
}

/**
 * Replaces damaged files by their undamaged parts. Keeps the originals.
 *
 * @param keepIn directory for the originals
 */
export async function repairDirectory(location: string, damages: readonly FileDamage[], keepIn: string): Promise<void> {
  await mkdir(keepIn, { recursive: true })
  for (const { kind, file, bytes } of damages) {
    const path = join(location, file)
    const content = await readFileWithHoles(path).catch(() => undefined)
    // A lost log cannot be repaired: LevelDB starts a new one.
    if (content === undefined) continue
    const repaired =
      kind === 'log' ? repairLog(content) : repairTable(content, bytes ?? 0, checkTable(content, bytes ?? 0).blocks)
    await keep(path, join(keepIn, file))
    await replaceFile(path, repaired, join(keepIn, `${file}.new`))
  }
  await syncDirectory(location)
}

function repairLog(content: Uint8Array): Uint8Array {
  return writeLog(readLog(content).records.filter((record) => decodeBatch(record) !== undefined))
}

async function keep(path: string, kept: string): Promise<void> {
  // An original of an earlier attempt stays: the current file may be a repaired one.
  await link(path, kept).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') await copyFile(path, kept).catch(() => undefined)
  })
}

async function replaceFile(path: string, content: Uint8Array, temporary: string): Promise<void> {
  await writeFile(temporary, content, { mode: PRIVATE_FILE_MODE, flush: true })
  await rename(temporary, path)
}

/** The numbers of files with an extension, ascending. */
export function numbersOf(names: readonly string[], ending: 'log' | 'ldb'): number[] {
  return names
    .filter((name) => /^[0-9]+\.[a-z]+$/.test(name) && name.endsWith(`.${ending}`))
    .map((name) => Number.parseInt(name, 10))
    .sort((a, b) => a - b)
}

export function fileName(number: number, ending: 'log' | 'ldb'): string {
  return `${String(number).padStart(6, '0')}.${ending}`
}
