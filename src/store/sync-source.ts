/** What sync reads from the store. */
import { yieldToEventLoop } from '../platform/yield.ts'
import { LIMBS } from '../negentropy/id-sum.ts'
import { createMemoryIndex } from '../negentropy/memory-index.ts'
import type { Bound, Item } from '../negentropy/types.ts'
import { ID_BYTES } from '../negentropy/wire.ts'
import type { AvatarSum, SyncMoment, SyncSource } from './types.ts'
import type { Avatar, SignedRecord } from '../record/types.ts'
import { openRow, walk, walkSteps, type Moment } from './database.ts'
import { type Database } from './level.ts'
import { CorruptRowError } from './errors.ts'
import type { Step, StoreHandle } from './handle.ts'
import * as keys from './keys.ts'
import { atMoment, readSummary, readSummaryAt, readLocation } from './reader.ts'
import * as rows from './rows.ts'
import { unseal } from './seal.ts'

/** Reads for sync, each through the handle. */
export function syncSource(handle: StoreHandle): SyncSource {
  return {
    moment: (scope) =>
      handle.long(async (db, writer, step) => {
        const moment = await (scope === 'all' ? writer.orderMoment() : avatarsMoment(db, scope))
        return scope === 'all' ? inSteps(moment, step) : moment
      }),
    avatarSums: (avatars) => handle.read((db) => avatarSums(db, avatars)),
    held: (ids) => handle.read((db, { compactor }) => heldOf(db, ids, compactor)),
    signed: (ids) => handle.read((db) => signedOf(db, ids)),
    from: (bound, limits) => handle.read((db, { compactor }) => signedFrom(db, bound, limits, compactor)),
  }
}

/** A moment that reads from the database only in steps. */
function inSteps(moment: SyncMoment, step: Step): SyncMoment {
  return {
    size: () => moment.size(),
    sum: (begin, end) => step(async () => moment.sum(begin, end)),
    items: (begin, end) => step(async () => moment.items(begin, end)),
    lowerBound: (begin, end, bound) => step(async () => moment.lowerBound(begin, end, bound)),
    close: () => moment.close(),
  }
}

/** The live records of some avatars, read at once. */
function avatarsMoment(db: Database, avatars: readonly Avatar[]): Promise<SyncMoment> {
  // A commit is in the database whole or not at all: no writer need wait while all is read as it was at one moment.
  return atMoment(db, async (moment) => {
    const items: Item[] = []
    const fromOf = liveFrom(db, moment)
    for (const [at, avatar] of [...new Set(avatars)].entries()) {
      if (at % AVATARS_PER_YIELD === AVATARS_PER_YIELD - 1) await yieldToEventLoop()
      const from = await fromOf(avatar)
      if (from === Infinity) continue
      const range = keys.historyRange(avatar, from, Number.MAX_SAFE_INTEGER + 1)
      for await (const step of walkSteps(db, range, { moment })) {
        for (const [key, row] of step) items.push(itemOfHistory(avatar, key, row))
        await yieldToEventLoop()
      }
    }
    return Object.assign(createMemoryIndex(items), { close: () => Promise.resolve() })
  })
}

/** Avatars between two pauses that hold few records or none. */
const AVATARS_PER_YIELD = 64

function itemOfHistory(avatar: Avatar, key: keys.Key, row: Uint8Array): Item {
  const { createdAt } = openRow(avatar, 'history', key, row, rows.decodeHistory)
  // The key ends with the id. A copy, so that it does not hold the row in memory.
  return { timestamp: createdAt, id: Uint8Array.prototype.slice.call(key, -ID_BYTES) }
}

function avatarSums(db: Database, avatars: readonly Avatar[]): AvatarSum[] {
  return avatars.map((avatar) => {
    const summary = readSummary(db, avatar)
    return { avatar, count: summary?.records ?? 0, sum: summary?.idSum ?? new Uint8Array(LIMBS * 4) }
  })
}

/** What sync must know of rows that are still there although their records are not live, or their avatar is gone. */
interface Leftovers {
  /** Whether the `o` rows are those of the live records, no more. */
  readonly isSyncIndexExact: boolean
  readonly isForgettingSome: boolean
  isForgetting(avatar: Avatar): boolean
}

/** Which of some ids are held, superseded ones included. */
function heldOf(db: Database, ids: readonly Uint8Array[], leftovers: Leftovers): boolean[] {
  return ids.map((id) => {
    const key = keys.idKey(keys.idText(id))
    const row = db.getSync(key)
    if (row === undefined || !leftovers.isForgettingSome) return row !== undefined
    const content = unseal(key, row)
    return content === undefined || !leftovers.isForgetting(rows.decodeLocation(content).avatar)
  })
}

/** A record to be read: which avatar's, and its place in the order of arrival. */
interface Wanted {
  readonly avatar: Avatar
  readonly sequence: number
}

/** Tells, of one moment, from which counter on an avatar's records are live; Infinity for an unknown avatar. */
function liveFrom(db: Database, moment: Moment): (avatar: Avatar) => Promise<number> {
  const known = new Map<Avatar, number>()
  return async (avatar) => {
    let from = known.get(avatar)
    if (from === undefined) {
      const summary = await readSummaryAt(db, moment, avatar)
      from = summary === undefined ? Infinity : (summary.base?.counter ?? 0)
      known.set(avatar, from)
    }
    return from
  }
}

/** The live records among some ids, in their order. */
async function signedOf(db: Database, ids: readonly Uint8Array[]): Promise<SignedRecord[]> {
  // Most ids that ingest asks for are new: a moment, and the reads in it, would cost more than a verification.
  if (ids.every((id) => db.getSync(keys.idKey(keys.idText(id))) === undefined)) return []
  return atMoment(db, async (moment) => {
    const fromOf = liveFrom(db, moment)
    const wanted: Wanted[] = []
    for (const id of ids) {
      const where = readLocation(db, keys.idText(id), moment)
      if (where !== undefined && where.counter >= (await fromOf(where.avatar))) wanted.push(where)
    }
    const found = await readSigned(db, moment, wanted)
    return found.map(({ payload, signature }) => ({ payload, signature }))
  })
}

/** Records read at a time for a frame: so many more than it has room for are read in vain at most. */
const STEP_RECORDS = 128

/** Live records from a bound on, in the order of sync. */
function signedFrom(
  db: Database,
  bound: Bound,
  { records: maxRecords, bytes: maxBytes }: { readonly records: number; readonly bytes: number },
  leftovers: Leftovers,
): Promise<{ records: SignedRecord[]; next: Bound | null }> {
  // As it is at that moment: what is still listed then may be gone a little later.
  const { isSyncIndexExact } = leftovers
  return atMoment(db, async (moment) => {
    const fromOf = liveFrom(db, moment)
    const records: SignedRecord[] = []
    let bytes = 0
    let next: Bound | null = bound
    for (let seen = 0; next !== null && seen < maxRecords;) {
      const step = await stepFrom(db, moment, next, Math.min(STEP_RECORDS, maxRecords - seen))
      for (const [at, record] of (await readSigned(db, moment, step.wanted)).entries()) {
        const { avatar, place } = step.wanted[at] as (typeof step.wanted)[number]
        if (!isSyncIndexExact && record.counter < (await fromOf(avatar))) continue
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

/** Some records in the order of sync, and the place of the one after them. */
async function stepFrom(
  db: Database,
  moment: Moment,
  bound: Bound,
  limit: number,
): Promise<{ wanted: (Wanted & { readonly place: Item })[]; seen: number; next: Item | null }> {
  const wanted: (Wanted & { readonly place: Item })[] = []
  let seen = 0
  for await (const [key, row] of walk(db, keys.orderRange(bound, null), { moment, limit: limit + 1 })) {
    const place = keys.itemInKey(key)
    if (seen === limit) return { wanted, seen, next: place }
    seen += 1
    const content = unseal(key, row)
    if (content !== undefined) {
      wanted.push({ ...rows.decodeOrder(content), place })
      continue
    }
    // The damaged row does not say its avatar; the `i` row of the id does. A row without a record is skipped.
    const where = readLocation(db, keys.idText(place.id), moment)
    if (where !== undefined) throw new CorruptRowError(where.avatar, 'order', 'the checksum does not fit')
  }
  return { wanted, seen, next: null }
}

async function readSigned(
  db: Database,
  moment: Moment,
  wanted: readonly Wanted[],
): Promise<(SignedRecord & { readonly counter: number })[]> {
  const recordKeys = wanted.map(({ avatar, sequence }) => keys.recordKey(avatar, sequence))
  const found = await db.getMany(recordKeys, { snapshot: moment })
  return found.map((row, at) => {
    const { avatar } = wanted[at] as Wanted
    if (row === undefined) throw new CorruptRowError(avatar, 'record', 'it is not there')
    return openRow(avatar, 'record', recordKeys[at] as keys.Key, row, rows.decodeRecord)
  })
}
