/** LevelDB's MANIFEST: the table files of the database, and the oldest log with rows that are in no table. */
import { attempt } from '../bytes.ts'
import { ByteCursor } from './byte-cursor.ts'
import { readLog } from './log-format.ts'

const LEVELS = 7
const [COMPARATOR, LOG_NUMBER, NEXT_FILE, LAST_SEQUENCE, COMPACT_POINTER, DELETED_FILE, NEW_FILE, PREVIOUS_LOG] = [
  1, 2, 3, 4, 5, 6, 7, 9,
] as const

export interface Manifest {
  /** Tables by file number, with the expected size. */
  readonly tables: ReadonlyMap<number, { readonly bytes: number }>
  /** The oldest log whose rows are in no table. */
  readonly logNumber: number
  /** LevelDB's last sequence when the manifest was written. The logs may have later ones. */
  readonly lastSequence: number
}

/** Decodes a manifest file; undefined if it is damaged. */
export function decodeManifest(bytes: Uint8Array): Manifest | undefined {
  const { records, isDamaged } = readLog(bytes)
  if (isDamaged || records.length === 0) return undefined
  const tables = new Map<number, { bytes: number }>()
  const numbers = { log: 0, last: 0 }
  return attempt(() => {
    for (const record of records) apply(new ByteCursor(record), tables, numbers)
    return { tables, logNumber: numbers.log, lastSequence: numbers.last }
  })
}

/** @throws RangeError */
function apply(edit: ByteCursor, tables: Map<number, { bytes: number }>, numbers: { log: number; last: number }): void {
  const [gone, added] = [new Set<number>(), new Map<number, { bytes: number }>()]
  while (edit.remaining > 0) {
    const tag = edit.varint()
    if (tag === COMPARATOR) edit.prefixed()
    else if (tag === LOG_NUMBER) numbers.log = edit.varint()
    else if (tag === NEXT_FILE || tag === PREVIOUS_LOG) edit.varint()
    else if (tag === LAST_SEQUENCE) numbers.last = edit.varint()
    else if (tag === COMPACT_POINTER) {
      level(edit)
      edit.prefixed()
    } else if (tag === DELETED_FILE) {
      level(edit)
      gone.add(edit.varint())
    } else if (tag === NEW_FILE) {
      level(edit)
      const number = edit.varint()
      added.set(number, { bytes: edit.varint() })
      edit.prefixed()
      edit.prefixed()
    } else throw new RangeError(`The tag ${tag} is unknown.`)
  }
  // A table that moves to another level is deleted and added in one edit.
  for (const number of gone) tables.delete(number)
  for (const [number, file] of added) tables.set(number, file)
}

function level(edit: ByteCursor): void {
  if (edit.varint() >= LEVELS) throw new RangeError('A level is out of range.')
}
