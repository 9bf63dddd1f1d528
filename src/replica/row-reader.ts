/** Reads an avatar's rows from the disk. Every record that it returns is verified. */
import type { SignatureEngine } from '../record/engine.ts'
import { RecordError } from '../record/errors.ts'
import type { Avatar, SignedRecord, VerifiedRecord } from '../record/types.ts'
import { verifyOrError } from '../record/verify.ts'
import { createSlices } from '../client/verify-records.ts'
import type { AvatarComponents } from './avatar-row.ts'
import * as rows from './rows.ts'
import type { RecordKind, WriteNote } from './rows.ts'

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

/**
 * @param after position of the last row that is known
 * @returns keys of `damaged` rows, which have no valid record; `last`: the greatest position, `after` if there is no row
 */
export async function readRows(
  parts: Pick<AvatarComponents, 'disk' | 'engine' | 'network'>,
  kind: RecordKind,
  avatar: Avatar,
  after: number,
) {
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
    if (slices.isOver()) await slices.pause()
  }
  return { found, damaged, last }
}

function verify(
  { network }: Pick<AvatarComponents, 'disk' | 'engine' | 'network'>,
  avatar: Avatar,
  engine: SignatureEngine,
  record: SignedRecord | undefined,
): VerifiedRecord | undefined {
  if (record === undefined) return undefined
  const verified = verifyOrError(engine, network, record, { recoveryByte: false })
  return verified instanceof RecordError || verified.body.avatar !== avatar ? undefined : verified
}

/** Accepts every signature. For rows that pass their check: their signature was verified before they were written. */
function engineOfRows(engine: SignatureEngine): SignatureEngine {
  return {
    name: engine.name,
    verify: () => true,
    recover: (signature, recoveryId, digest) => engine.recover(signature, recoveryId, digest),
    sign: (digest, secretKey) => engine.sign(digest, secretKey),
    isPublicKey: (publicKey) => engine.isPublicKey(publicKey),
    keccak256: (bytes) => engine.keccak256(bytes),
  }
}
