/**
 * The visible content of an avatar as JSON text. A small avatar is read by one statement, which sees one moment. A larger one is
 * read in pages, on a connection that holds its moment until the reader closes it.
 */
import type { Avatar } from '../../record/types.ts'
import type { NamespaceName } from '../../state/content.ts'
import { Joiner } from '../joiner.ts'
import type { JsonSnapshot, ViewSnapshot } from '../types.ts'
import type { PostgresDatabase, Queries } from './database.ts'
import { readSummary } from './reader.ts'
import { summaryOf, type SummaryColumns } from './summary.ts'
import { bytea, keyOf, type KeyColumns } from './values.ts'

/** Avatars whose live records have at most this many bytes are read at once: their content is not larger. */
const SMALL_BYTES = 1_048_576
/** Members of a page at first; doubled while they are small. */
const FIRST_ROWS = 32
const MAX_ROWS = 512
const SMALL_PAGE_BYTES = 524_288
const NO_KEY = Buffer.alloc(0)

interface MemberColumns extends KeyColumns {
  readonly value: string
}

/** A namespace and one of its members; without a key and a value if it has no members. */
interface ViewColumns extends NamespaceName {
  readonly sort_key: Uint8Array | null
  readonly long_key: Uint8Array | null
  readonly value: string | null
}

type Pages<T> = AsyncIterable<readonly T[]> | Iterable<readonly T[]>

/** Members of other avatars that stand in one namespace instead of its own (`linked-view.ts`). */
export interface Substitutes {
  readonly namespace: NamespaceName
  /** The keys that are left out of the namespace's own members. */
  readonly hidden: ReadonlySet<string>
  /** The `"key":value` texts to add. */
  fragments(): AsyncIterable<Uint8Array>
}

export async function openView(database: PostgresDatabase, avatar: Avatar): Promise<ViewSnapshot | undefined> {
  const small = await database.rows<SummaryColumns & { [name in keyof ViewColumns]: ViewColumns[name] | null }>(
    'smallView',
    [bytea(avatar), SMALL_BYTES],
  )
  const [first] = small
  if (first !== undefined) {
    const summary = summaryOf(first)
    if (summary === undefined) return undefined
    const rows = small.filter((row): row is typeof row & ViewColumns => row.platform !== null)
    return { summary, read: () => viewText([rows]), close: () => Promise.resolve() }
  }
  if ((await readSummary(database, avatar)) === undefined) return undefined
  const moment = await database.moment('long')
  const summary = await readSummary(moment, avatar)
  if (summary === undefined) {
    await moment.close()
    return undefined
  }
  return { summary, read: () => viewText(viewPages(moment, avatar)), close: () => moment.close() }
}

export async function openContent(
  database: PostgresDatabase,
  avatar: Avatar,
  name: NamespaceName,
): Promise<JsonSnapshot | undefined> {
  const { platform, identity } = name
  const values = [bytea(avatar), platform, identity]
  const small = await database.rows<ViewColumns>('smallContent', [...values, SMALL_BYTES])
  if (small.length > 0) {
    const members = small.filter((row): row is ViewColumns & MemberColumns => row.sort_key !== null)
    return { read: () => contentText([members], name), close: () => Promise.resolve() }
  }
  if ((await database.rows('namespace', values)).length === 0) return undefined
  const moment = await database.moment('long')
  if ((await moment.rows('namespace', values)).length === 0) {
    await moment.close()
    return undefined
  }
  return { read: () => contentText(contentPages(moment, avatar, name), name), close: () => moment.close() }
}

export function contentPages(
  queries: Queries,
  avatar: Avatar,
  { platform, identity }: NamespaceName,
): Pages<MemberColumns> {
  let after: Uint8Array = NO_KEY
  return growing(async (rows) => {
    const page = await queries.rows<MemberColumns>('contentPage', [bytea(avatar), platform, identity, after, rows])
    after = page.at(-1)?.sort_key ?? after
    return page
  })
}

export function viewPages(queries: Queries, avatar: Avatar): Pages<ViewColumns> {
  let last: ViewColumns | undefined
  return growing(async (rows) => {
    const { platform = '', identity = '', sort_key = null } = last ?? {}
    const values = [bytea(avatar), platform, identity, sort_key ?? NO_KEY, rows, last === undefined]
    const page = await queries.rows<ViewColumns>('viewPage', values)
    last = page.at(-1) ?? last
    return page
  })
}

/** Reads pages until one is not full. */
async function* growing<T extends { readonly value: string | null }>(
  read: (rows: number) => Promise<T[]>,
): AsyncGenerator<readonly T[]> {
  for (let size = FIRST_ROWS; ;) {
    const page = await read(size)
    yield page
    if (page.length < size) return
    if (page.reduce((sum, { value }) => sum + (value?.length ?? 0), 0) <= SMALL_PAGE_BYTES)
      size = Math.min(MAX_ROWS, size * 2)
  }
}

/** The namespaces as a JSON array, sorted as in a snapshot's `state`. */
export async function* viewText(pages: Pages<ViewColumns>, substitutes?: Substitutes): AsyncGenerator<Uint8Array> {
  const joined = new Joiner()
  let open: OpenNamespace | undefined
  joined.text('[')
  for await (const page of pages) {
    for (const { platform, identity, sort_key, long_key, value } of page) {
      if (open?.name.platform !== platform || open.name.identity !== identity) {
        if (open !== undefined) yield* open.close(joined)
        if (open !== undefined) joined.text('},')
        open = new OpenNamespace({ platform, identity }, substitutes)
        joined.text(`{"platform":${JSON.stringify(platform)},"identity":${JSON.stringify(identity)},"content":`)
      }
      if (sort_key !== null && value !== null) yield* open.add(joined, { sort_key, long_key, value })
    }
  }
  if (open !== undefined) yield* open.close(joined)
  joined.text(open === undefined ? ']' : '}]')
  yield joined.take()
}

/** One namespace's content as a JSON object. */
export async function* contentText(
  pages: Pages<MemberColumns>,
  name: NamespaceName,
  substitutes?: Substitutes,
): AsyncGenerator<Uint8Array> {
  const joined = new Joiner()
  const open = new OpenNamespace(name, substitutes)
  for await (const page of pages) {
    for (const member of page) yield* open.add(joined, member)
  }
  yield* open.close(joined)
  yield joined.take()
}

/** One namespace's members, with those of linked avatars at its end. */
class OpenNamespace {
  readonly name: NamespaceName
  readonly #substitutes: Substitutes | undefined
  #before = '{'

  constructor(name: NamespaceName, substitutes: Substitutes | undefined) {
    this.name = name
    const { platform, identity } = substitutes?.namespace ?? {}
    this.#substitutes = platform === name.platform && identity === name.identity ? substitutes : undefined
  }

  *add(joined: Joiner, member: MemberColumns): Generator<Uint8Array> {
    const key = keyOf(member)
    if (this.#substitutes?.hidden.has(key) === true) return
    yield* this.#push(joined, Buffer.from(`${JSON.stringify(key)}:${member.value}`))
  }

  async *close(joined: Joiner): AsyncGenerator<Uint8Array> {
    for await (const fragment of this.#substitutes?.fragments() ?? []) yield* this.#push(joined, fragment)
    joined.text(this.#before === '{' ? '{}' : '}')
  }

  *#push(joined: Joiner, fragment: Uint8Array): Generator<Uint8Array> {
    yield* joined.add({ before: this.#before, fragment })
    this.#before = ','
  }
}
