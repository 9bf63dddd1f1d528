/**
 * Reads the remaining records in the files of a store, without LevelDB and without changes: from all tables and logs, even
 * those that the store no longer uses. Each record passed the checksum of its row and nothing else; the caller must verify its
 * signature.
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { SignedRecord } from '../record/types.ts'
import { bytesText } from './bytes.ts'
import * as keys from './keys.ts'
import { fileName, numbersOf } from './leveldb/directory.ts'
import { readFileWithHoles } from './leveldb/file-with-holes.ts'
import { readLog } from './leveldb/log-format.ts'
import { checkTable, rowsOf } from './leveldb/table-format.ts'
import { decodeBatch } from './leveldb/write-batch.ts'
import * as rows from './rows.ts'
import { openSealed } from './seal.ts'

/** The records of one file. */
export interface SalvagedFile {
  readonly path: string
  /** Bytes read. */
  readonly bytes: number
  /** In order of arrival. */
  readonly records: readonly SignedRecord[]
  /** Whether a part of the file is unreadable or failed its check. */
  readonly isDamaged: boolean
  /** The network of the store, if the file has it. */
  readonly network: string | undefined
}

type Row = readonly [key: Uint8Array, value: Uint8Array]

const RECORD = 's'.charCodeAt(0)
/** In layouts 1 to 3, which originals of damaged files may have. */
const OLD_RECORD = 'r'.charCodeAt(0)
const NETWORK = keys.metaKey('network')

/** The data files of a store, then the originals of repaired files. */
export async function filesToSalvage(location: string): Promise<string[]> {
  const paths: string[] = []
  for (const directory of [location, `${location}.damaged`]) {
    const names = await readdir(directory).catch((): string[] => [])
    for (const ending of ['ldb', 'log'] as const) {
      for (const number of numbersOf(names, ending)) paths.push(join(directory, fileName(number, ending)))
    }
  }
  return paths
}

/** Reads one data file. A file that the operating system cannot read counts as damaged, without records. */
export async function salvageFile(path: string): Promise<SalvagedFile> {
  const content = await readFileWithHoles(path).catch(() => new Uint8Array(0))
  const { rows: all, isDamaged } = path.endsWith('.log') ? logRows(content) : tableRows(content)
  const records: { readonly sequence: number; readonly record: SignedRecord }[] = []
  let failed = 0
  let network: string | undefined
  for (const [key, value] of all) {
    if (Buffer.compare(key, NETWORK) === 0) network ??= openSealed(key, value, bytesText)
    if (key[0] !== RECORD && key[0] !== OLD_RECORD) continue
    const record = openSealed(key, value, key[0] === RECORD ? rows.decodeRecord : rows.decodeOldRecord)
    if (record === undefined) failed += 1
    else records.push({ sequence: keys.sequenceInKey(key), record })
  }
  records.sort((a, b) => a.sequence - b.sequence)
  return {
    path,
    bytes: content.length,
    records: records.map(({ record: { payload, signature } }) => ({ payload, signature })),
    isDamaged: isDamaged || failed > 0,
    network,
  }
}

function tableRows(content: Uint8Array): { rows: Row[]; isDamaged: boolean } {
  const { isWhole, blocks } = checkTable(content, content.length)
  return { rows: blocks.flatMap((block) => rowsOf(content, block)), isDamaged: !isWhole }
}

function logRows(content: Uint8Array): { rows: Row[]; isDamaged: boolean } {
  const { records, isDamaged } = readLog(content)
  const batches = records.map(decodeBatch)
  return {
    rows: batches.flatMap((batch) => batch?.puts ?? []),
    isDamaged: isDamaged || batches.includes(undefined),
  }
}
