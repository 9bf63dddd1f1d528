/**
 * Snapshots that are accepted although a quota is full, because they free more than they take (docs/protocol.md, "Quotas
 * and history").
 *
 * A complete snapshot takes effect at once and leaves less than before. A snapshot that still lacks parts, and then its
 * parts, are accepted on what the snapshot will free: the patches, the base and the base's parts below it. Parts of other
 * incomplete snapshots do not count as freed. At most `MAX_INCOMPLETE_OVER_QUOTA` snapshots are accepted this way, so an
 * avatar stores at most a few times what it shows.
 */
import type { Citation, RecordBody, RecordId, VerifiedRecord } from '../record/types.ts'
import type { AvatarState } from '../state/avatar-state.ts'
import type { AvatarRows } from './avatar-rows.ts'
import type { FullQuota } from './quotas.ts'

/** With this many incomplete snapshots an avatar gets no further exception; above 1, so that a writer can start again. */
const MAX_INCOMPLETE_OVER_QUOTA = 4

interface Amount {
  readonly records: number
  readonly bytes: number
}

/** The avatar as it is in the middle of a batch. */
export interface BatchView {
  readonly state: AvatarState
  /** Number of records added. */
  readonly additions: number
  /** Live records of this batch, which are not stored yet. */
  readonly unstored: readonly { readonly record: VerifiedRecord; readonly bytes: number }[]
}

export class QuotaExceptions {
  readonly #rows: AvatarRows
  /** Undefined for nearly every avatar, of which thousands are cached. */
  #incomplete: Map<RecordId, { readonly reclaimable: ReturnType<typeof reclaimableSpace>; taken: number }> | undefined

  constructor(rows: AvatarRows) {
    this.#rows = rows
  }

  /** Discards the cached sums. Call it after a new base. */
  clear(): void {
    this.#incomplete = undefined
  }

  /** Counts a part that was accepted. */
  countPart(state: AvatarState, id: RecordId, bytes: number): void {
    if (this.#incomplete === undefined) return
    for (const snapshot of state.awaiting(id)) {
      const known = this.#incomplete.get(snapshot.id)
      if (known !== undefined) known.taken += bytes
    }
  }

  /** Whether a record is accepted although the quotas in `full` have no room for it. */
  async allows(record: VerifiedRecord, bytes: number, full: readonly FullQuota[], now: BatchView): Promise<boolean> {
    const { body, id } = record
    if (body.type === 'patch') return false
    if (body.type === 'part') return this.#allowsPart(id, bytes, full, now)
    if (now.state.judge(body) === 'stored') {
      const reclaimable = reclaimableSpace(this.#rows, body.counter, 'everything')
      return reclaimable.exceeds({ records: 1, bytes }, full, now)
    }
    if (now.state.waiting.snapshots >= MAX_INCOMPLETE_OVER_QUOTA) return false
    const reclaimable = reclaimableSpace(this.#rows, body.counter, 'shown')
    return reclaimable.exceeds({ records: 1 + body.parts.length, bytes }, full, now)
  }

  async #allowsPart(id: RecordId, bytes: number, full: readonly FullQuota[], now: BatchView): Promise<boolean> {
    for (const snapshot of now.state.awaiting(id)) {
      this.#incomplete ??= new Map()
      let known = this.#incomplete.get(snapshot.id)
      if (known === undefined) {
        const reclaimable = reclaimableSpace(this.#rows, snapshot.counter, 'shown')
        known = { reclaimable, taken: await this.#takenBy(snapshot, now) }
        this.#incomplete.set(snapshot.id, known)
      }
      const takes = { records: 1 + snapshot.names.length, bytes: known.taken + bytes }
      if (await known.reclaimable.exceeds(takes, full, now)) return true
    }
    return false
  }

  /** Bytes of an incomplete snapshot and of its stored parts. */
  async #takenBy(
    { id, counter, names }: ReturnType<AvatarState['awaiting']>[number],
    { unstored }: BatchView,
  ): Promise<number> {
    const bytesOf = new Map(unstored.map(({ record, bytes }) => [record.id, bytes]))
    let taken = 0
    for (const place of [{ id, counter }, ...names]) {
      taken += bytesOf.get(place.id) ?? (await this.#rows.bytesOf(place)) ?? 0
    }
    return taken
  }
}

/**
 * Space that a snapshot will free: the live records below it. Reads rows only until the space is enough.
 *
 * @param what `shown`: without the parts of other incomplete snapshots
 */
function reclaimableSpace(rows: AvatarRows, below: number, what: 'everything' | 'shown') {
  let read = { records: 0, bytes: 0 }
  let after: Citation | undefined
  /** Number of records added when the reading began. */
  let readAt = -1
  let isRead = false

  function counts(place: Citation, type: RecordBody['type'], state: AvatarState): boolean {
    return what === 'everything' || type === 'patch' || state.status(place, type) === 'stored'
  }

  function sumUnstored({ state, unstored }: BatchView): Amount {
    let [records, bytes] = [0, 0]
    for (const { record, bytes: each } of unstored) {
      const { counter, type } = record.body
      if (counter >= below || !counts({ counter, id: record.id }, type, state)) continue
      records += 1
      bytes += each
    }
    return { records, bytes }
  }

  return {
    /** Whether the snapshot frees more than it takes, in every unit in which a quota is full. */
    async exceeds(takes: Amount, full: readonly FullQuota[], now: BatchView): Promise<boolean> {
      const unstored = sumUnstored(now)
      const isEnough = (): boolean => full.every(({ use: { unit } }) => read[unit] + unstored[unit] > takes[unit])
      if (isEnough()) return true
      // All rows were read before, but records added since may be before the position where reading stopped.
      if (isRead && readAt !== now.additions) {
        read = { records: 0, bytes: 0 }
        after = undefined
        isRead = false
      }
      if (isRead) return false
      if (after === undefined) readAt = now.additions
      for await (const { counter, id, bytes, type } of rows.history(now.state.base?.counter ?? 0, below, after)) {
        after = { counter, id }
        if (!counts(after, type, now.state)) continue
        read.records += 1
        read.bytes += bytes
        if (isEnough()) return true
      }
      isRead = true
      return false
    },
  }
}
