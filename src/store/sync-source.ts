/** What sync reads from the store. */
import { LIMBS } from '../sync/negentropy/id-sum.ts'
import { createMemoryIndex } from '../sync/memory-index.ts'
import type { Bound, Item } from '../sync/negentropy/types.ts'
import type { AvatarSum, SyncMoment } from '../sync/types.ts'
import type { Avatar, SignedRecord } from '../record/types.ts'
import { fromHex } from './bytes.ts'
import { openRow, walk, type Database } from './database.ts'
import { CorruptRowError } from './errors.ts'
import * as keys from './keys.ts'
import { readSummary, readWhereabouts } from './reader.ts'
import * as rows from './rows.ts'

/** The live records of some avatars. */
export async function avatarsMoment(db: Database, avatars: readonly Avatar[]): Promise<SyncMoment> {
  const items: Item[] = []
  for (const avatar of new Set(avatars)) {
    const from = readSummary(db, avatar)?.base?.counter ?? 0
    for await (const [key, row] of walk(db, keys.historyRange(avatar, from, Number.MAX_SAFE_INTEGER + 1))) {
      const { createdAt } = openRow(avatar, 'history', key, row, rows.decodeHistory)
      items.push({ timestamp: createdAt, id: fromHex(keys.placeInKey(key).id) })
    }
  }
  return Object.assign(createMemoryIndex(items), { close: () => Promise.resolve() })
}

export function avatarSums(db: Database, avatars: readonly Avatar[]): AvatarSum[] {
  return avatars.map((avatar) => {
    const summary = readSummary(db, avatar)
    return { avatar, count: summary?.records ?? 0, sum: summary?.idSum ?? new Uint8Array(LIMBS * 4) }
  })
}

/** A record to be read: which avatar's, and its place in the order of arrival. */
interface Wanted {
  readonly avatar: Avatar
  readonly sequence: number
}

/** The live records among some ids, in their order. */
export function signedOf(db: Database, ids: readonly Uint8Array[]): Promise<SignedRecord[]> {
  const bases = new Map<Avatar, number>()
  const wanted: Wanted[] = []
  for (const id of ids) {
    const where = readWhereabouts(db, keys.idText(id))
    if (where === undefined) continue
    const { avatar, counter, sequence } = where
    let base = bases.get(avatar)
    if (base === undefined) {
      base = readSummary(db, avatar)?.base?.counter ?? 0
      bases.set(avatar, base)
    }
    if (counter >= base) wanted.push({ avatar, sequence })
  }
  return readSigned(db, wanted)
}

/** Live records from a bound on, in the order of sync. */
export async function signedFrom(
  db: Database,
  bound: Bound,
  { records: maxRecords, bytes: maxBytes }: { readonly records: number; readonly bytes: number },
): Promise<{ records: SignedRecord[]; next: Bound | null }> {
  const places: Item[] = []
  const wanted: (Wanted & { readonly at: number })[] = []
  for await (const [key, row] of walk(db, keys.orderRange(bound, null), { limit: maxRecords + 1 })) {
    const at = places.push(keys.itemInKey(key)) - 1
    const content = rows.unseal(key, row)
    if (content !== undefined) {
      wanted.push({ ...rows.decodeOrder(content), at })
      continue
    }
    // Its avatar cannot be told from it; whereabouts can. A row of no record is passed over.
    const where = readWhereabouts(db, keys.idText((places[at] as Item).id))
    if (where !== undefined) throw new CorruptRowError(where.avatar, 'order', 'the checksum does not fit')
  }
  const records: SignedRecord[] = []
  const within = wanted.filter(({ at }) => at < maxRecords)
  const found = await readSigned(db, within)
  let bytes = 0
  for (const [index, record] of found.entries()) {
    bytes += record.payload.length
    if (records.length > 0 && bytes > maxBytes)
      return { records, next: places[(within[index] as { at: number }).at] ?? null }
    records.push(record)
  }
  return { records, next: places[maxRecords] ?? null }
}

async function readSigned(db: Database, wanted: readonly Wanted[]): Promise<SignedRecord[]> {
  const recordKeys = wanted.map(({ avatar, sequence }) => keys.recordKey(avatar, sequence))
  const found = await db.getMany(recordKeys)
  return found.map((row, at) => {
    const { avatar } = wanted[at] as Wanted
    if (row === undefined) throw new CorruptRowError(avatar, 'record', 'it is not there')
    const { payload, signature } = openRow(avatar, 'record', recordKeys[at] as keys.Key, row, rows.decodeRecord)
    return { payload, signature }
  })
}
