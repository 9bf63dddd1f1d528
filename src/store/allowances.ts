/**
 * Snapshots that get in although a quota is full, because they free more than they take (docs/protocol.md, "Quotas and
 * history").
 *
 * One that is complete takes effect at once, and what is left is less than before. One that still lacks parts is let in,
 * and then its parts, on what it will free: the patches, the base and the base's parts below it. What waits for other
 * snapshots is no credit, and only a few may wait beyond a quota, so that what an avatar keeps stays below a few times
 * what it shows.
 */
import type { Avatar, RecordId, VerifiedRecord } from '../record/types.ts'
import type { AvatarState } from '../state/avatar-state.ts'
import { openRow, readRow, walk } from './database.ts'
import { type Database } from './level.ts'
import * as keys from './keys.ts'
import type { FullQuota } from './quotas.ts'
import * as rows from './rows.ts'

/** Incomplete snapshots of an avatar beyond which none is let in over a quota: room for a writer to begin anew. */
const MAX_INCOMPLETE_OVER_QUOTA = 4

interface Amount {
  readonly records: number
  readonly bytes: number
}

/** What the allowances need to know of an avatar while a batch is made. */
export interface Standing {
  readonly state: AvatarState
  /** Changes whenever a record is added. */
  readonly additions: number
  /** Live records of this batch, which are not stored yet. */
  readonly unstored: readonly { readonly record: VerifiedRecord; readonly bytes: number }[]
}

export class Allowances {
  readonly #db: Database
  readonly #avatar: Avatar
  readonly #incomplete = new Map<RecordId, { readonly credit: Credit; taken: number }>()

  constructor(db: Database, avatar: Avatar) {
    this.#db = db
    this.#avatar = avatar
  }

  /** Forgets what snapshots free: there is a new base. */
  clear(): void {
    this.#incomplete.clear()
  }

  /** Notes that a part was taken in. */
  took(state: AvatarState, id: RecordId, bytes: number): void {
    if (this.#incomplete.size === 0) return
    for (const snapshot of state.awaiting(id)) {
      const known = this.#incomplete.get(snapshot.id)
      if (known !== undefined) known.taken += bytes
    }
  }

  /** Whether a record gets in all the same. */
  async lets(record: VerifiedRecord, bytes: number, full: readonly FullQuota[], now: Standing): Promise<boolean> {
    const { body, id } = record
    if (body.type === 'patch') return false
    if (body.type === 'part') return this.#letsPart(id, bytes, full, now)
    if (now.state.judge(body) === 'stored') {
      const credit = new Credit(this.#db, this.#avatar, body.counter, 'everything')
      return credit.exceeds({ records: 1, bytes }, full, now)
    }
    if (now.state.incompleteSnapshots >= MAX_INCOMPLETE_OVER_QUOTA) return false
    const credit = new Credit(this.#db, this.#avatar, body.counter, 'shown')
    return credit.exceeds({ records: 1 + body.parts.length, bytes }, full, now)
  }

  async #letsPart(id: RecordId, bytes: number, full: readonly FullQuota[], now: Standing): Promise<boolean> {
    for (const snapshot of now.state.awaiting(id)) {
      let known = this.#incomplete.get(snapshot.id)
      if (known === undefined) {
        const credit = new Credit(this.#db, this.#avatar, snapshot.counter, 'shown')
        known = { credit, taken: this.#takenBy(snapshot, now) }
        this.#incomplete.set(snapshot.id, known)
      }
      const takes = { records: 1 + snapshot.names.length, bytes: known.taken + bytes }
      if (await known.credit.exceeds(takes, full, now)) return true
    }
    return false
  }

  /** Bytes of an incomplete snapshot and of its parts that are held. */
  #takenBy({ id, counter, names }: ReturnType<AvatarState['awaiting']>[number], { unstored }: Standing): number {
    const bytesOf = new Map(unstored.map(({ record, bytes }) => [record.id, bytes]))
    let taken = 0
    for (const place of [{ id, counter }, ...names]) {
      const key = keys.historyKey(this.#avatar, place)
      taken += bytesOf.get(place.id) ?? readRow(this.#db, this.#avatar, 'history', key, rows.decodeHistory)?.bytes ?? 0
    }
    return taken
  }
}

/** What lies live below a snapshot, read no further than it takes to know that it is enough. */
class Credit {
  readonly #db: Database
  readonly #avatar: Avatar
  readonly #counter: number
  readonly #what: 'everything' | 'shown'
  #records = 0
  #bytes = 0
  #from: keys.Key | undefined
  #readAt = -1
  #isRead = false

  constructor(db: Database, avatar: Avatar, counter: number, what: 'everything' | 'shown') {
    this.#db = db
    this.#avatar = avatar
    this.#counter = counter
    this.#what = what
  }

  /** Whether more is freed than taken, in every unit in which a quota is full. */
  async exceeds(takes: Amount, full: readonly FullQuota[], now: Standing): Promise<boolean> {
    const units = new Set(full.map(({ use }) => use.unit))
    const unstored = this.#unstored(now)
    const isEnough = (): boolean =>
      (!units.has('bytes') || this.#bytes + unstored.bytes > takes.bytes) &&
      (!units.has('records') || this.#records + unstored.records > takes.records)
    if (isEnough()) return true
    // Read to its end before, and something has come since: perhaps behind the place to which it was read.
    if (this.#isRead && this.#readAt !== now.additions) this.#restart()
    if (this.#isRead) return false
    this.#readAt = this.#from === undefined ? now.additions : this.#readAt
    const all = keys.historyRange(this.#avatar, now.state.base?.counter ?? 0, this.#counter)
    for await (const [key, row] of walk(this.#db, { gte: this.#from ?? all.gte, lt: all.lt })) {
      const { bytes, type } = openRow(this.#avatar, 'history', key, row, rows.decodeHistory)
      const place = keys.placeInKey(key)
      this.#from = keys.historyKeyAfter(this.#avatar, place)
      if (!this.#counts(place, type, now.state)) continue
      this.#records += 1
      this.#bytes += bytes
      if (isEnough()) return true
    }
    this.#isRead = true
    return false
  }

  #restart(): void {
    this.#records = 0
    this.#bytes = 0
    this.#from = undefined
    this.#isRead = false
  }

  #unstored({ state, unstored }: Standing): Amount {
    let [records, bytes] = [0, 0]
    for (const { record, bytes: each } of unstored) {
      const { counter, type } = record.body
      if (counter >= this.#counter || !this.#counts({ counter, id: record.id }, type, state)) continue
      records += 1
      bytes += each
    }
    return { records, bytes }
  }

  #counts(place: { counter: number; id: RecordId }, type: VerifiedRecord['body']['type'], state: AvatarState): boolean {
    return this.#what === 'everything' || type === 'patch' || state.standing(place, type) === 'stored'
  }
}
