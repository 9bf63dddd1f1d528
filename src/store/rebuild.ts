/**
 * Rebuilds the derived rows of an avatar from its records, and verifies each record again. A row that is damaged or fails
 * verification moves to quarantine: it is never served, and sync can fetch the record again.
 */
import type { Avatar, SignedRecord, VerifiedRecord } from '../record/types.ts'
import type { NamespaceName } from '../state/content.ts'
import { AvatarEntry } from './avatar-entry.ts'
import { bytesOf } from './batch.ts'
import { pushIndexes } from './record-rows.ts'
import { clearSoon, walk } from './database.ts'
import { del, put, type Database, type Operation } from './level.ts'
import * as keys from './keys.ts'
import * as rows from './rows.ts'
import type { Rebuilt } from './types.ts'
import { openSealed } from './seal.ts'

interface RebuildOptions {
  /** Verifies a record, or throws. */
  readonly verify: (record: SignedRecord) => VerifiedRecord
  /** Current time, for the keys of quarantined rows. */
  readonly nowMs: number
  /** A claim in doubt. It is deleted unless the records create that namespace. Claims cannot be found by avatar. */
  readonly claim?: NamespaceName | undefined
}

/** Removes the derived rows of all avatars: outdated rows have valid checksums. */
export async function dropAllDerived(db: Database): Promise<void> {
  for (const table of keys.DERIVED_TABLES) await clearSoon(db, keys.tableRange(table))
}

/** Returns the operations to write, and whether some of the remaining records are superseded. */
export async function rebuildAvatar(
  db: Database,
  avatar: Avatar,
  { verify, nowMs, claim }: RebuildOptions,
): Promise<Rebuilt & { readonly operations: Operation[]; readonly hasHistory: boolean }> {
  const operations: Operation[] = []
  await dropDerived(db, avatar, operations)
  if (claim !== undefined) operations.push(del(keys.identityKey(claim, avatar)))
  const entry = new AvatarEntry(db, avatar)
  const kept: { record: VerifiedRecord; sequence: number; bytes: number }[] = []
  let quarantined = 0
  for await (const [key, row] of walk(db, keys.tableRange('r', avatar))) {
    const record = openSealed(key, row, (content) => verify(rows.decodeRecord(content)))
    if (record?.body.avatar !== avatar || entry.held(record.id) !== undefined) {
      quarantined += 1
      operations.push(del(key), put(keys.quarantineKey(nowMs, key), row))
      continue
    }
    entry.hold(record.id, record.body)
    if (entry.state.judge(record.body) !== 'superseded') entry.state.add(record)
    kept.push({ record, sequence: keys.sequenceInKey(key), bytes: bytesOf(record) })
  }
  if (kept.length === 0) return { operations, records: 0, quarantined, hasHistory: false }
  const base = entry.state.base?.counter ?? 0
  for (const { record, sequence, bytes } of kept) {
    const isLive = record.body.counter >= base
    pushIndexes(operations, record, sequence, bytes, isLive)
    if (!isLive) operations.push(del(keys.orderKey(record.body.created_at, record.id)))
    entry.keep(record.id, bytes, isLive)
  }
  entry.flush(operations)
  const { records, keptRecords } = entry.counts
  return { operations, records: keptRecords, quarantined, hasHistory: keptRecords > records }
}

/** Adds the deletion of every derived row of an avatar to `operations`, without relying on the rows' contents. */
async function dropDerived(db: Database, avatar: Avatar, operations: Operation[]): Promise<void> {
  const drop = (key: keys.Key): number => operations.push(del(key))
  drop(keys.hostedKey(avatar))
  for await (const [key, row] of walk(db, keys.tableRange('h', avatar))) {
    drop(key)
    const { id } = keys.placeInKey(key)
    drop(keys.idKey(id))
    const history = openSealed(key, row, rows.decodeHistory)
    if (history !== undefined) drop(keys.orderKey(history.createdAt, id))
  }
  for (const letter of ['v', 't', 'k', 'p'] as const) {
    for await (const [key] of walk(db, keys.tableRange(letter, avatar))) {
      drop(key)
      if (letter === 'v' && keys.kindOfViewKey(key) === 'namespace') {
        drop(keys.identityKey(keys.namespaceInKey(key), avatar))
      }
    }
  }
}
