/** The reads of the store for sync. */
import { addId, LIMBS } from '../../negentropy/id-sum.ts'
import { createMemoryIndex } from '../../negentropy/memory-index.ts'
import type { Bound, Item } from '../../negentropy/types.ts'
import type { Avatar, SignedRecord } from '../../record/types.ts'
import { textBytes, toHex } from '../bytes.ts'
import { LEAST, PAGE_RECORDS, pagedIndex, type Page } from '../paged-index.ts'
import type { AvatarSum, Scope, SyncSnapshot, SyncSource } from '../types.ts'
import type { StateRow } from './change-feed.ts'
import type { Moment, PostgresDatabase } from './database.ts'
import type { SummaryColumns } from './summary.ts'
import { avatarOf, bytea } from './values.ts'

/** Positions read at once while pages are computed. */
const STEP_ITEMS = 10_000
/** Records read at once for a frame. */
const STEP_RECORDS = 128

interface ItemColumns {
  readonly created_at: number
  readonly id: Uint8Array
}

const itemOf = ({ created_at, id }: ItemColumns): Item => ({ timestamp: created_at, id })
const NO_BYTES = Buffer.alloc(0)

export function syncSource(database: PostgresDatabase): SyncSource {
  /** The pages of one moment, and what tells whether the live records have changed since. */
  let known: { readonly version: string; readonly pages: readonly Page[] } | undefined

  async function snapshotOfAll(): Promise<SyncSnapshot> {
    const moment = await database.moment('long')
    try {
      const version = await versionOf(moment)
      const pages = known?.version === version ? known.pages : await computePages(moment)
      known = { version, pages }
      return pagedIndex(pages, {
        items: async (from, to) => {
          const end = to === null || to.timestamp === Infinity ? [null, null] : [to.timestamp, to.id]
          return (await moment.rows<ItemColumns>('liveBetween', [from.timestamp, from.id, ...end])).map(itemOf)
        },
        onMismatch: () => {
          known = undefined
        },
        close: () => moment.close(),
      })
    } catch (error) {
      await moment.close()
      throw error
    }
  }

  async function snapshotOf(avatars: readonly Avatar[]): Promise<SyncSnapshot> {
    const rows = await database.rows<ItemColumns>('liveOf', [avatars.map(bytea)])
    return Object.assign(createMemoryIndex(rows.map(itemOf)), { close: () => Promise.resolve() })
  }

  return {
    readSnapshot: (scope: Scope) => (scope === 'all' ? snapshotOfAll() : snapshotOf(scope)),
    async avatarSums(avatars) {
      const sums = new Map<Avatar, AvatarSum>()
      for (const row of await database.rows<SummaryColumns>('summaries', [avatars.map(bytea)])) {
        const avatar = avatarOf(row.avatar)
        if (row.id_sum !== null) sums.set(avatar, { avatar, count: row.records, sum: row.id_sum })
      }
      return avatars.map((avatar) => sums.get(avatar) ?? { avatar, count: 0, sum: new Uint8Array(LIMBS * 4) })
    },
    async held(ids) {
      const found = new Set((await database.rows<{ id: Uint8Array }>('held', [ids])).map(({ id }) => toHex(id)))
      return ids.map((id) => found.has(toHex(id)))
    },
    async signed(ids) {
      type Columns = { id: Uint8Array; payload: string; signature: Uint8Array }
      const found = new Map<string, SignedRecord>()
      for (const { id, payload, signature } of await database.rows<Columns>('signed', [ids])) {
        found.set(toHex(id), { payload: textBytes(payload), signature })
      }
      return ids.flatMap((id) => found.get(toHex(id)) ?? [])
    },
    from: (bound, limits) => signedFrom(database, bound, limits),
  }
}

/** Changes whenever the set of live records does. */
async function versionOf(moment: Moment): Promise<string> {
  const [state] = await moment.rows<StateRow>('state')
  return state === undefined ? '' : `${state.epoch} ${state.last_sequence} ${state.avatars} ${state.records}`
}

async function computePages(moment: Moment): Promise<readonly Page[]> {
  const pages: Page[] = []
  let open = { from: LEAST, count: 0, sum: new Uint32Array(LIMBS) }
  let after: readonly [number, Uint8Array] = [-1, NO_BYTES]
  for (;;) {
    const step = await moment.rows<ItemColumns>('livePage', [...after, STEP_ITEMS])
    for (const row of step) {
      if (open.count === PAGE_RECORDS) {
        pages.push(open)
        open = { from: itemOf(row), count: 0, sum: new Uint32Array(LIMBS) }
      }
      open.count += 1
      addId(open.sum, row.id)
    }
    const last = step.at(-1)
    if (last === undefined || step.length < STEP_ITEMS) break
    after = [last.created_at, last.id]
  }
  pages.push(open)
  return pages
}

/** Reads live records from a bound on, in the order of sync. */
async function signedFrom(
  database: PostgresDatabase,
  bound: Bound,
  { records: maxRecords, bytes: maxBytes }: { readonly records: number; readonly bytes: number },
): Promise<{ records: SignedRecord[]; next: Bound | null }> {
  type Columns = ItemColumns & { payload: string; signature: Uint8Array }
  if (bound.timestamp === Infinity) return { records: [], next: null }
  const records: SignedRecord[] = []
  let bytes = 0
  let from: Bound = bound
  for (;;) {
    const limit = Math.min(STEP_RECORDS, maxRecords - records.length)
    const found = await database.rows<Columns>('liveFrom', [from.timestamp, from.id, limit + 1])
    for (const row of found.slice(0, limit)) {
      const payload = textBytes(row.payload)
      bytes += payload.length
      if (records.length > 0 && bytes > maxBytes) return { records, next: itemOf(row) }
      records.push({ payload, signature: row.signature })
    }
    const next = found[limit]
    if (next === undefined) return { records, next: null }
    from = itemOf(next)
    if (records.length >= maxRecords) return { records, next: from }
  }
}
