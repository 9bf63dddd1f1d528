/** An index of live records in (created_at, id) order by pages: count and sum of ids in memory, the items read when needed. */
import { addId, addLimbs, LIMBS, sumBytes } from '../negentropy/id-sum.ts'
import { compareBounds, firstNotBelow } from '../negentropy/order.ts'
import type { Bound, Item } from '../negentropy/types.ts'
import { StoreError } from './errors.ts'
import type { SyncSnapshot } from './types.ts'

/** Records in a page after a division. */
export const PAGE_RECORDS = 256
/** Pages of one moment whose items stay in memory after a read. */
const READ_PAGES = 32

export const LEAST: Bound = { timestamp: 0, id: new Uint8Array(0) }

/** Immutable, because moments share pages. */
export interface Page {
  /** Lower bound (inclusive) of the page's records, and upper bound (exclusive) of earlier pages. */
  readonly from: Bound
  readonly count: number
  /** Sum of the ids modulo 2^256: see `id-sum.ts`. */
  readonly sum: Uint32Array
}

/** The last page that begins at or below a position. */
export function pageOf(pages: readonly Page[], position: Bound): number {
  return firstNotBelow(1, pages.length, (at) => compareBounds((pages[at] as Page).from, position) <= 0) - 1
}

/** The rows of an index as of the moment of its pages. */
export interface PageSource {
  /** Reads the items from a bound (inclusive) to another (exclusive); null is the end. */
  items(from: Bound, to: Bound | null): Promise<readonly Item[]>
  /** Called if pages and rows contradict each other: all pages must be computed again. */
  onMismatch(): void
  close(): Promise<void>
}

export function pagedIndex(pages: readonly Page[], source: PageSource): SyncSnapshot {
  /** Number of records before each page, and in total; below, the sums of their ids. */
  const countBefore = new Float64Array(pages.length + 1)
  const sumBefore = new Uint32Array((pages.length + 1) * LIMBS)
  const read = new Map<number, readonly Item[]>()
  const running = new Uint32Array(LIMBS)
  pages.forEach((page, at) => {
    countBefore[at + 1] = (countBefore[at] as number) + page.count
    addLimbs(running, page.sum)
    sumBefore.set(running, (at + 1) * LIMBS)
  })
  const size = countBefore[pages.length] as number

  /** Sum of the ids before a rank. */
  async function sumTo(rank: number): Promise<Uint32Array> {
    const at = pageAtRank(rank)
    const sum = sumBefore.slice(at * LIMBS, (at + 1) * LIMBS)
    const before = countBefore[at] as number
    if (rank > before) for (const { id } of (await itemsOf(at)).slice(0, rank - before)) addId(sum, id)
    return sum
  }

  /** The page that holds a rank; after the last record, the number of pages. */
  function pageAtRank(rank: number): number {
    if (rank >= size) return pages.length
    return firstNotBelow(1, pages.length, (at) => (countBefore[at] as number) <= rank) - 1
  }

  async function itemsOf(at: number): Promise<readonly Item[]> {
    const known = read.get(at)
    if (known !== undefined) return known
    const page = pages[at] as Page
    const items = await source.items(page.from, pages[at + 1]?.from ?? null)
    if (items.length !== page.count) {
      source.onMismatch()
      throw new StoreError(
        'unreadable',
        'The rows of the sync index do not match its pages. The node computes the pages again. Try again.',
      )
    }
    if (read.size >= READ_PAGES) read.delete(read.keys().next().value as number)
    read.set(at, items)
    return items
  }

  return {
    size: () => size,
    async sum(begin, end) {
      const sum = await sumTo(end)
      addLimbs(sum, await sumTo(begin), -1)
      return sumBytes(sum)
    },
    async items(begin, end) {
      const items: Item[] = []
      for (let rank = begin; rank < end;) {
        const at = pageAtRank(rank)
        const before = countBefore[at] as number
        const page = await itemsOf(at)
        items.push(...page.slice(rank - before, end - before))
        rank = before + page.length
      }
      return items
    },
    async lowerBound(begin, end, bound) {
      const at = pageOf(pages, bound)
      const items = await itemsOf(at)
      const inPage = firstNotBelow(0, items.length, (rank) => compareBounds(items[rank] as Item, bound) < 0)
      return Math.min(end, Math.max(begin, (countBefore[at] as number) + inPage))
    },
    close: () => source.close(),
  }
}
