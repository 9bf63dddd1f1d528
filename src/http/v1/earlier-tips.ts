/** Finds in the store which records a payload cites that this node built earlier and no longer remembers. */
import { compareCitations } from '../../record/order.ts'
import { readVerifiedPayload } from '../../record/payload.ts'
import type { Avatar, Citation, RecordId } from '../../record/types.ts'
import type { StoreReader } from '../../store/types.ts'

/** Records read for one answer: those that arrived since, and neighbours of the records that they cite. */
const MAX_RECORDS = 512
/** Payload bytes parsed for one answer: about 20 ms of work, however much an avatar has stored. */
const MAX_BYTES = 4 * 1024 * 1024
const PAGE_RECORDS = 64
/** The greatest possible id. */
const GREATEST_ID: RecordId = `0x${'f'.repeat(64)}`

type Store = Pick<StoreReader, 'summary' | 'history'>

/** The facts of a stored record that decide what the tips were. */
interface Found extends Citation {
  readonly uuid: string
  readonly createdAt: number
  /** The citations of a patch; empty for other types. */
  readonly prev: readonly Citation[]
  readonly isPatch: boolean
  readonly isVisible: boolean
}

/** What may still be read. */
interface Budget {
  records: number
  bytes: number
}

/**
 * Returns the citations of a patch. If the patch is stored, those that it has. Otherwise the tips that the avatar had before it
 * got records with this counter or a greater one; if they cannot be found within the limits, the current tips.
 *
 * @param wanted.counter the counter in the uuid; an impossible value is ignored
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
  const candidates: Citation[] = [...summary.tips]
  for await (const found of recordsFrom(store, avatar, counter, budget)) {
    if (found.isPatch && found.uuid === uuid && found.createdAt === createdAt) return found.prev
    candidates.push(...found.prev)
  }
  const tips = await tipsBelow(store, avatar, counter, candidates, budget)
  return budget.records > 0 && budget.bytes > 0 ? tips : summary.tips
}

/** Returns those candidates that no visible record below a counter cites. */
async function tipsBelow(
  store: Store,
  avatar: Avatar,
  counter: number,
  candidates: readonly Citation[],
  budget: Budget,
): Promise<Citation[]> {
  const tips = new Map(candidates.filter((each) => each.counter < counter).map((each) => [each.id, each]))
  const least = Math.min(...[...tips.values()].map((each) => each.counter))
  if (tips.size > 0) {
    for await (const found of recordsFrom(store, avatar, least, budget)) {
      if (found.counter >= counter) break
      if (found.isVisible) for (const { id } of found.prev) tips.delete(id)
    }
  }
  return [...tips.values()].sort(compareCitations)
}

/** Yields records from a counter on, in order, until the budget is used up. */
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
