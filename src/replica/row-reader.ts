/** Reads an avatar's rows from the disk. Every record that it returns is verified. */
import type { SignatureEngine } from '../record/engine.ts'
import { RecordError } from '../record/errors.ts'
import type { Avatar, SignedRecord, VerifiedRecord } from '../record/types.ts'
import { verifyRecord } from '../record/verify.ts'
import { createSlices, nextTask } from '../client/verify-records.ts'
import type { Disk } from './disk.ts'
import * as rows from './rows.ts'
import type { RecordKind, WriteNote } from './rows.ts'

export interface RowReaderComponents {
  readonly disk: Disk
  readonly engine: SignatureEngine
  readonly network: string
}

export interface FoundRow {
  readonly key: string
  readonly position: number
  readonly record: VerifiedRecord
  /** Of an own write; undefined if the row is damaged, though its record is not. */
  readonly note: WriteNote | undefined
  /** Whether the row failed its check, and its record was verified from scratch. */
  readonly isRescued: boolean
  /** Whether a damaged row comes before it. */
  readonly isAfterDamage: boolean
}

export interface RowsRead {
  readonly found: readonly FoundRow[]
  /** Keys of rows that have no valid record. */
  readonly damaged: readonly string[]
  /** The greatest position; `after` if there is no row. */
  readonly last: number
}

/** @param after position of the last row that is known */
export async function readRows(
  parts: RowReaderComponents,
  kind: RecordKind,
  avatar: Avatar,
  after: number,
): Promise<RowsRead> {
  const found: FoundRow[] = []
  const damaged: string[] = []
  const trusting = engineOfRows(parts.engine)
  const slices = createSlices()
  let last = after
  for await (const [key, row] of parts.disk.rows(rows.recordKeys(kind, avatar, after))) {
    const position = rows.placeOfKey(key)
    last = Math.max(last, position)
    const write = kind === 'q' ? rows.decodeWrite(key, row) : undefined
    const whole = verify(parts, avatar, trusting, kind === 'q' ? write : rows.decodeRecord(key, row))
    const record = whole ?? verify(parts, avatar, parts.engine, rows.salvage(kind, row))
    if (record === undefined) damaged.push(key)
    else {
      const [note, isAfterDamage] = [write?.note, damaged.length > 0]
      found.push({ key, position, record, note, isRescued: whole === undefined, isAfterDamage })
    }
    if (slices.isOver()) {
      await nextTask()
      slices.begin()
    }
  }
  return { found, damaged, last }
}

function verify(
  { network }: RowReaderComponents,
  avatar: Avatar,
  engine: SignatureEngine,
  record: SignedRecord | undefined,
): VerifiedRecord | undefined {
  if (record === undefined) return undefined
  try {
    const verified = verifyRecord(engine, network, record, { recoveryByte: false })
    return verified.body.avatar === avatar ? verified : undefined
  } catch (error) {
    if (error instanceof RecordError) return undefined
    throw error
  }
}

/** Accepts every signature. For rows that pass their check: their signature was verified before they were written. */
function engineOfRows(engine: SignatureEngine): SignatureEngine {
  return {
    name: engine.name,
    verify: () => true,
    recover: (signature, recoveryId, digest) => engine.recover(signature, recoveryId, digest),
    isPublicKey: (publicKey) => engine.isPublicKey(publicKey),
    keccak256: (bytes) => engine.keccak256(bytes),
  }
}
