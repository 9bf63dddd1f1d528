/** What a record cited that was built here some time ago: found in the store, without a memory of its own. */
import { compareCitations } from '../../record/order.ts'
import { readVerifiedPayload } from '../../record/payload.ts'
import type { Avatar, Citation, RecordId } from '../../record/types.ts'
import type { StoreReader } from '../../store/types.ts'

/** Records that are looked at for one answer: those that came since, and those beside what they cite. */
const MAX_RECORDS = 512
/** Payload bytes that are parsed for one answer: some 20 ms of work, whatever an avatar has stored. */
const MAX_BYTES = 4 * 1024 * 1024
const PAGE_RECORDS = 64
/** No id is greater. */
const GREATEST_ID: RecordId = `0x${'f'.repeat(64)}`

type Store = Pick<StoreReader, 'summary' | 'history'>

/** Of a stored record what tells tips. */
interface Found extends Citation {
  readonly uuid: string
  readonly createdAt: number
  /** Of a patch. */
  readonly prev: readonly Citation[]
  readonly isPatch: boolean
  readonly isVisible: boolean
}

/** What may still be looked at. */
interface Budget {
  records: number
  bytes: number
}

/**
 * The citations of a patch: those that it has, where it is stored; else the tips that the avatar had before it got records
 * with this counter or a greater one; else the tips of now.
 *
 * @param wanted.counter as its uuid says; one that makes no sense is as good as none
 */
export async function findCitations(
  store: Store,
  avatar: Avatar,
  wanted: { readonly uuid: string; readonly createdAt: number; readonly counter: number },
): Promise<readonly Citation[]> {
  const { uuid, createdAt, counter } = wanted
  const summary = await store.summary(avatar)
  if (summary === undefined) return []
  if (counter < 1 || counter > createdAt || summary.head < counter) return summary.tips
  const budget: Budget = { records: MAX_RECORDS, bytes: MAX_BYTES }
  const places: Citation[] = [...summary.tips]
  for await (const found of recordsFrom(store, avatar, counter, budget)) {
    if (found.isPatch && found.uuid === uuid && found.createdAt === createdAt) return found.prev
    places.push(...found.prev)
  }
  const tips = await tipsBelow(store, avatar, counter, places, budget)
  return budget.records > 0 && budget.bytes > 0 ? tips : summary.tips
}

/** Of places that may have been tips, those that no visible record below a counter cites. */
async function tipsBelow(
  store: Store,
  avatar: Avatar,
  counter: number,
  places: readonly Citation[],
  budget: Budget,
): Promise<Citation[]> {
  const tips = new Map(places.filter((each) => each.counter < counter).map((each) => [each.id, each]))
  const least = Math.min(...[...tips.values()].map((each) => each.counter))
  if (tips.size > 0) {
    for await (const found of recordsFrom(store, avatar, least, budget)) {
      if (found.counter >= counter) break
      if (found.isVisible) for (const { id } of found.prev) tips.delete(id)
    }
  }
  return [...tips.values()].sort(compareCitations)
}

/** Records from one counter on, in order, as long as the budget lasts. */
async function* recordsFrom(store: Store, avatar: Avatar, from: number, budget: Budget): AsyncGenerator<Found> {
  let after: Citation = { counter: from - 1, id: GREATEST_ID }
  for (;;) {
    const page = await store.history(avatar, { after, limit: PAGE_RECORDS, superseded: true })
    if (page.length === 0) return
    for (const { id, payload, status } of page) {
      budget.records--
      budget.bytes -= payload.length
      if (budget.records <= 0 || budget.bytes <= 0) return
      const { counter, uuid, created_at: createdAt, ...body } = readVerifiedPayload(payload)
      const isPatch = body.type === 'patch'
      after = { counter, id }
      yield { counter, id, uuid, createdAt, isPatch, prev: isPatch ? body.prev : [], isVisible: status === 'stored' }
    }
  }
}
