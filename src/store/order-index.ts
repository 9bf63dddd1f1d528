/**
 * The sync index: live records in (created_at, id) order. Memory holds pages of up to 512 records with count and sum of ids,
 * about 2 bytes a record; the `o` rows hold the records' positions. A sum over any range reads at most two pages.
 *
 * The pages are computed by the first use after each opening, so that damaged rows cannot contradict them. A node opens without
 * them, and one without peers never needs them. Reads and commits need not wait.
 */
import { addBytes, addId, addLimbs, LIMBS } from '../negentropy/id-sum.ts'
import type { Bound, Item } from '../negentropy/types.ts'
import type { SyncSnapshot } from './types.ts'
import { walk, walkKeys, type ReadSnapshot } from './database.ts'
import { type Database } from './level.ts'
import * as keys from './keys.ts'
import { LEAST, PAGE_RECORDS, pagedIndex, pageOf, type Page } from './paged-index.ts'

/** Records in a page before it is divided. A range that begins or ends inside a page reads the whole page. */
const MAX_PAGE_RECORDS = 512
/** A computation of all pages. */
interface Loading {
  /** Rejects if rows cannot be read. */
  done: Promise<void>
  /** The pages as of the beginning; null until they are computed. */
  pages: readonly Page[] | null
  /** What commits have changed since the beginning: at most a fraction of the index, since a commit takes longer than a count. */
  readonly added: Item[]
  readonly removed: Item[]
}

export class OrderIndex {
  readonly #db: Database
  /** Null until all pages are computed. */
  #pages: readonly Page[] | null = null
  #loading: Loading | null = null

  constructor(db: Database) {
    this.#db = db
  }

  /** Begins to compute all pages from the `o` rows of this moment, which lies between two commits. Commits need not wait. */
  begin(): void {
    const loading: Loading = { done: Promise.resolve(), pages: null, added: [], removed: [] }
    this.#pages = null
    this.#loading = loading
    loading.done = this.#load(loading)
    // Reported by `ready`.
    loading.done.catch(() => undefined)
  }

  /** Resolves when no computation runs. @throws what it failed with; it begins again with the next call of `at` */
  async ready(): Promise<void> {
    await this.#loading?.done
  }

  /**
   * Returns the index as of the last commit, undefined if it must be computed first: then wait for `ready`. The next commit must
   * wait until this resolves. Closing the index closes its snapshot of the database.
   */
  async at(): Promise<SyncSnapshot | undefined> {
    await this.#addChanges()
    if (this.#pages === null) {
      if (this.#loading === null) this.begin()
      return undefined
    }
    const db = this.#db
    const readSnapshot = db.snapshot()
    return pagedIndex(this.#pages, {
      async items(from, to) {
        const items: Item[] = []
        for await (const [key] of walk(db, keys.orderRange(from, to), { snapshot: readSnapshot, values: false })) {
          items.push(keys.itemInKey(key))
        }
        return items
      },
      onMismatch: () => {
        this.#pages = null
      },
      close: () => readSnapshot.close(),
    })
  }

  /**
   * Applies a commit that is already in the database. The next commit must wait until it resolves. Never rejects: if the rows
   * cannot be read now, the next call of `at` computes all pages.
   *
   * @param added new live records
   * @param removed records that are no longer live
   */
  async apply(added: readonly Item[], removed: readonly Item[]): Promise<void> {
    if (this.#loading !== null) {
      for (const item of added) this.#loading.added.push(item)
      for (const item of removed) this.#loading.removed.push(item)
      await this.#addChanges()
    } else if (this.#pages !== null) {
      await this.#set(this.#pages, added, removed)
    }
  }

  /** Stops a computation that runs. */
  async close(): Promise<void> {
    const done = this.#loading?.done
    this.#loading = null
    await done?.catch(() => undefined)
  }

  async #load(loading: Loading): Promise<void> {
    const readSnapshot = this.#db.snapshot()
    try {
      loading.pages = await this.#paginate(LEAST, null, { readSnapshot, isStopped: () => this.#loading !== loading })
    } catch (error) {
      if (this.#loading === loading) this.#loading = null
      throw error
    } finally {
      await readSnapshot.close()
    }
  }

  /** Follows what has changed since the computed pages were begun. */
  async #addChanges(): Promise<void> {
    const loading = this.#loading
    if (loading === null || loading.pages === null) return
    this.#loading = null
    await this.#set(loading.pages, loading.added, loading.removed)
  }

  async #set(pages: readonly Page[], added: readonly Item[], removed: readonly Item[]): Promise<void> {
    this.#pages = null
    this.#pages = await this.#follow([...pages], added, removed).catch(() => null)
  }

  async #follow(pages: Page[], added: readonly Item[], removed: readonly Item[]): Promise<readonly Page[]> {
    const overfull = new Set<Bound>()
    for (const [items, sign] of [
      [added, 1],
      [removed, -1],
    ] as const) {
      for (const item of items) {
        const at = pageOf(pages, item)
        const page = pages[at] as Page
        const changed = { from: page.from, count: page.count + sign, sum: Uint32Array.from(page.sum) }
        const id = new Uint32Array(LIMBS)
        addId(id, item.id)
        addLimbs(changed.sum, id, sign)
        pages[at] = changed
        if (changed.count > MAX_PAGE_RECORDS) overfull.add(page.from)
      }
    }
    for (const from of overfull) {
      const at = pageOf(pages, from)
      const divided = await this.#paginate(from, pages[at + 1]?.from ?? null)
      pages.splice(at, 1, ...divided)
    }
    return removed.length > 0 ? merged(pages) : pages
  }

  async #paginate(
    from: Bound,
    to: Bound | null,
    { readSnapshot, isStopped = () => false }: { readSnapshot?: ReadSnapshot; isStopped?: () => boolean } = {},
  ): Promise<Page[]> {
    const pages: Page[] = []
    let open = { from, count: 0, sum: new Uint32Array(LIMBS) }
    for await (const step of walkKeys(this.#db, keys.orderRange(from, to), readSnapshot)) {
      if (isStopped()) break
      for (const key of step) {
        if (open.count === PAGE_RECORDS) {
          pages.push(open)
          open = { from: keys.itemInKey(key), count: 0, sum: new Uint32Array(LIMBS) }
        }
        open.count += 1
        addBytes(open.sum, keys.idViewInOrderKey(key), 0)
      }
    }
    pages.push(open)
    return pages
  }
}

/** Merges small neighbours, so that memory shrinks with the number of records. */
function merged(pages: readonly Page[]): Page[] {
  const result: Page[] = []
  for (const page of pages) {
    const last = result.at(-1)
    if (last === undefined || last.count + page.count > PAGE_RECORDS) {
      result.push(page)
      continue
    }
    const sum = Uint32Array.from(last.sum)
    addLimbs(sum, page.sum)
    result[result.length - 1] = { from: last.from, count: last.count + page.count, sum }
  }
  return result
}
