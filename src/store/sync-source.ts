/** The reads of the store for sync. */
import { yieldToEventLoop } from '../platform/yield.ts'
import { LIMBS } from '../negentropy/id-sum.ts'
import { createMemoryIndex } from '../negentropy/memory-index.ts'
import type { Bound, Item } from '../negentropy/types.ts'
import { ID_BYTES } from '../negentropy/wire.ts'
import type { AvatarSum, SyncSnapshot, SyncSource } from './types.ts'
import type { Avatar, SignedRecord } from '../record/types.ts'
import { openRow, walk, walkSteps, type ReadSnapshot } from './database.ts'
import { type Database } from './level.ts'
import { CorruptRowError } from './errors.ts'
import type { Step, StoreHandle } from './handle.ts'
import * as keys from './keys.ts'
import { avatarAt, avatarOf, readFound, readLocation, readSummary, withReadSnapshot, type Wanted } from './reader.ts'
import * as rows from './rows.ts'
import { openSealed } from './seal.ts'

/** Creates the reads for sync. Each goes through the handle. */
export function syncSource(handle: StoreHandle): SyncSource {
  return {
    readSnapshot: (scope) =>
      handle.long(async (db, writer, step) => {
        const readSnapshot = await (scope === 'all' ? writer.orderSnapshot() : avatarsSnapshot(db, scope))
        return scope === 'all' ? inSteps(readSnapshot, step) : readSnapshot
      }),
    avatarSums: (avatars) => handle.read((db) => avatarSums(db, avatars)),
    held: (ids) => handle.read((db, { compactor }) => heldOf(db, ids, compactor)),
    signed: (ids) => handle.read((db) => signedOf(db, ids)),
    from: (bound, limits) => handle.read((db, { compactor }) => signedFrom(db, bound, limits, compactor)),
  }
}

/** Wraps a moment so that each of its reads is a step of the handle. */
function inSteps(readSnapshot: SyncSnapshot, step: Step): SyncSnapshot {
  return {
    size: () => readSnapshot.size(),
    sum: (begin, end) => step(async () => readSnapshot.sum(begin, end)),
    items: (begin, end) => step(async () => readSnapshot.items(begin, end)),
    lowerBound: (begin, end, bound) => step(async () => readSnapshot.lowerBound(begin, end, bound)),
    close: () => readSnapshot.close(),
  }
}

/** The live records of some avatars, loaded into memory. */
function avatarsSnapshot(db: Database, avatars: readonly Avatar[]): Promise<SyncSnapshot> {
  // Commits are atomic, so writers need not wait while all rows are read as of one moment.
  return withReadSnapshot(db, async (readSnapshot) => {
    const items: Item[] = []
    const fromOf = liveFrom(db, readSnapshot)
    for (const [at, avatar] of [...new Set(avatars)].entries()) {
      if (at % AVATARS_PER_YIELD === AVATARS_PER_YIELD - 1) await yieldToEventLoop()
      const from = await fromOf(avatar)
      if (from === Infinity) continue
      const range = keys.historyRange(avatar, from, Number.MAX_SAFE_INTEGER + 1)
      for await (const step of walkSteps(db, range, { snapshot: readSnapshot })) {
        for (const [key, row] of step) items.push(itemOfHistory(avatar, key, row))
        await yieldToEventLoop()
      }
    }
    return Object.assign(createMemoryIndex(items), { close: () => Promise.resolve() })
  })
}

/** Avatars before a yield to the event loop, if they have few records. */
const AVATARS_PER_YIELD = 64

function itemOfHistory(avatar: Avatar, key: keys.Key, row: Uint8Array): Item {
  const { createdAt } = openRow(avatar, 'history', key, row, rows.decodeHistory)
  // The key ends with the id. A copy, so that it does not keep the row in memory.
  return { timestamp: createdAt, id: Uint8Array.prototype.slice.call(key, -ID_BYTES) }
}

function avatarSums(db: Database, avatars: readonly Avatar[]): AvatarSum[] {
  return avatars.map((avatar) => {
    const summary = readSummary(db, avatar)
    return { avatar, count: summary?.records ?? 0, sum: summary?.idSum ?? new Uint8Array(LIMBS * 4) }
  })
}

/** Facts about leftover rows: of records that are no longer live, and of deleted avatars. */
interface Leftovers {
  /** Whether the `o` rows are exactly those of the live records. */
  readonly isSyncIndexExact: boolean
  readonly isForgettingSome: boolean
  isForgetting(avatar: Avatar): boolean
}

/** Which ids belong to stored records, superseded ones included. */
function heldOf(db: Database, ids: readonly Uint8Array[], leftovers: Leftovers): boolean[] {
  return ids.map((id) => {
    const key = keys.idKey(keys.idText(id))
    const row = db.getSync(key)
    if (row === undefined || !leftovers.isForgettingSome) return row !== undefined
    const avatar = avatarOf(db, keys.idText(id))
    return avatar === undefined || !leftovers.isForgetting(avatar)
  })
}

/** Returns a function: the counter from which on an avatar's records are live; Infinity for an unknown avatar. */
function liveFrom(db: Database, readSnapshot: ReadSnapshot): (avatar: Avatar) => Promise<number> {
  const known = new Map<Avatar, number>()
  return async (avatar) => {
    let from = known.get(avatar)
    if (from === undefined) {
      from = (await avatarAt(db, readSnapshot, avatar))?.liveFrom ?? Infinity
      known.set(avatar, from)
    }
    return from
  }
}

/** Reads the live records among `ids`, in the order of `ids`. */
async function signedOf(db: Database, ids: readonly Uint8Array[]): Promise<SignedRecord[]> {
  // Fast path: most ids that ingest asks for are new, and reads of a moment cost more than a verification.
  if (ids.every((id) => db.getSync(keys.idKey(keys.idText(id))) === undefined)) return []
  return withReadSnapshot(db, async (readSnapshot) => {
    const fromOf = liveFrom(db, readSnapshot)
    const wanted: Wanted[] = []
    for (const id of ids) {
      const where = readLocation(db, keys.idText(id), readSnapshot)
      if (where !== undefined) wanted.push({ sequence: where.sequence, id: where.id })
    }
    const live: SignedRecord[] = []
    for (const { avatar, counter, payload, signature } of await readFound(db, readSnapshot, wanted)) {
      if (counter >= (await fromOf(avatar))) live.push({ payload, signature })
    }
    return live
  })
}

/** Records per step for a frame. At most this many are read in vain when the frame is full. */
const STEP_RECORDS = 128

/** Reads live records from a bound on, in the order of sync. */
function signedFrom(
  db: Database,
  bound: Bound,
  { records: maxRecords, bytes: maxBytes }: { readonly records: number; readonly bytes: number },
  leftovers: Leftovers,
): Promise<{ records: SignedRecord[]; next: Bound | null }> {
  // Read before the moment begins: leftover rows of the moment may be removed a little later.
  const { isSyncIndexExact } = leftovers
  return withReadSnapshot(db, async (readSnapshot) => {
    const fromOf = liveFrom(db, readSnapshot)
    const records: SignedRecord[] = []
    let bytes = 0
    let next: Bound | null = bound
    for (let seen = 0; next !== null && seen < maxRecords;) {
      const step = await stepFrom(db, readSnapshot, next, Math.min(STEP_RECORDS, maxRecords - seen))
      for (const [at, record] of (await readFound(db, readSnapshot, step.wanted)).entries()) {
        const { place } = step.wanted[at] as WantedAt
        if (!isSyncIndexExact && record.counter < (await fromOf(record.avatar))) continue
        bytes += record.payload.length
        if (records.length > 0 && bytes > maxBytes) return { records, next: place }
        records.push({ payload: record.payload, signature: record.signature })
      }
      seen += step.seen
      next = step.next
    }
    return { records, next }
  })
}

/** A record in the order of sync. */
type WantedAt = Wanted & { readonly place: Item }

/** Reads one step of the sync index; `next` is the position of the following record. */
async function stepFrom(
  db: Database,
  readSnapshot: ReadSnapshot,
  bound: Bound,
  limit: number,
): Promise<{ wanted: WantedAt[]; seen: number; next: Item | null }> {
  const wanted: WantedAt[] = []
  let seen = 0
  for await (const [key, row] of walk(db, keys.orderRange(bound, null), { snapshot: readSnapshot, limit: limit + 1 })) {
    const place = keys.itemInKey(key)
    if (seen === limit) return { wanted, seen, next: place }
    seen += 1
    const id = keys.idText(place.id)
    const sequence = openSealed(key, row, rows.decodeSequence)
    if (sequence !== undefined) {
      wanted.push({ sequence, id, createdAt: place.timestamp, place })
      continue
    }
    // A damaged row of an id that is not stored is skipped.
    if (readLocation(db, id, readSnapshot) === undefined) continue
    throw new CorruptRowError({ record: id, createdAt: place.timestamp }, 'order', 'it does not match its checksum')
  }
  return { wanted, seen, next: null }
}
