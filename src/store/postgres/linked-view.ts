/** The linked view of an avatar (docs/protocol.md, "Linked keys") as JSON text, of one moment of the database. */
import { OWN_PLATFORM } from '../../record/members.ts'
import type { Avatar, JsonValue } from '../../record/types.ts'
import { LINKS_KEY, linkedDigestOf, linksIn, type Link, type LinkState } from '../../state/links.ts'
import { fastHash } from '../avatar-entry.ts'
import { bytesText, toHex } from '../bytes.ts'
import type { LinkedFrom, LinkedSnapshot } from '../types.ts'
import type { Moment, PostgresDatabase, Queries } from './database.ts'
import { readSummary } from './reader.ts'
import { avatarOf, bytea, keyColumns } from './values.ts'
import { contentPages, contentText, viewPages, viewText, type Substitutes } from './view.ts'

/** A view whose parts have at most this many bytes is read at once; a larger one holds its moment until it is closed. */
const SMALL_BYTES = 1_048_576
/** Rows of links read at once. */
const PAGE_LINKS = 1_000
/** Characters of keys after which a page of `linkedFrom` ends. */
const LINKED_FROM_CHARACTERS = 1_048_576
const NO_BYTES = Buffer.alloc(0)

/** The links of an avatar that count, in order. */
export async function readLinks(queries: Queries, avatar: Avatar): Promise<Link[]> {
  const value = await readOwnValue(queries, avatar, LINKS_KEY)
  return linksIn(avatar, value === undefined ? undefined : (JSON.parse(value) as JsonValue))
}

/** The JSON text of a member of an avatar's own namespace. */
async function readOwnValue(queries: Queries, avatar: Avatar, key: string): Promise<string | undefined> {
  const values = [bytea(avatar), OWN_PLATFORM, avatar, keyColumns(key).sort_key]
  const [row] = await queries.rows<{ value: string | null }>('value', values)
  return row?.value ?? undefined
}

/**
 * @param options.isShown whether the states of an avatar are shown here; nothing is held of others
 * @param options.only the own namespace alone, as its content; otherwise all namespaces
 */
export async function openLinkedView(
  database: PostgresDatabase,
  avatar: Avatar,
  options: { readonly isShown: (linked: Avatar) => boolean; readonly only: boolean },
): Promise<LinkedSnapshot | undefined> {
  const moment = await database.moment('short')
  let isLarge = false
  try {
    const opened = await openAt(moment, avatar, options)
    if (opened === undefined) return undefined
    if (opened.bytes <= SMALL_BYTES) {
      const chunks: Uint8Array[] = []
      for await (const chunk of opened.view.read()) chunks.push(chunk)
      return { ...opened.view, read: () => inChunks(chunks), close: () => Promise.resolve() }
    }
    isLarge = true
  } finally {
    await moment.close()
  }
  if (!isLarge) return undefined
  const long = await database.moment('long')
  const opened = await openAt(long, avatar, options).catch(async (error: unknown) => {
    await long.close()
    throw error
  })
  if (opened === undefined) await long.close()
  return opened && { ...opened.view, close: () => long.close() }
}

async function* inChunks(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks
}

async function openAt(
  moment: Moment,
  avatar: Avatar,
  { isShown, only }: { readonly isShown: (linked: Avatar) => boolean; readonly only: boolean },
): Promise<{ readonly view: LinkedSnapshot; readonly bytes: number } | undefined> {
  const summary = await readSummary(moment, avatar)
  if (summary === undefined) return undefined
  const own = { platform: OWN_PLATFORM, identity: avatar }
  if (only && (await moment.rows('namespace', [bytea(avatar), OWN_PLATFORM, avatar])).length === 0) return undefined
  const { links, bytes } = await statesOf(moment, await readLinks(moment, avatar), isShown)
  const substitutes: Substitutes = {
    namespace: own,
    hidden: new Set(links.map(({ key }) => key)),
    async *fragments() {
      for (const { key, avatar: linked, digest } of links) {
        const value = digest === null ? undefined : await readOwnValue(moment, linked, key)
        if (value !== undefined) yield Buffer.from(`${JSON.stringify(key)}:${value}`)
      }
    },
  }
  const read = (): AsyncIterable<Uint8Array> =>
    only
      ? contentText(contentPages(moment, avatar, own), own, substitutes)
      : viewText(viewPages(moment, avatar), substitutes)
  const linkedDigest = linkedDigestOf(summary.digest, links, fastHash)
  const close = (): Promise<void> => moment.close()
  return { view: { summary, links, linkedDigest, read, close }, bytes: summary.bytes + bytes }
}

/** Adds the digests of the linked avatars, and sums up the bytes of the linked values. */
async function statesOf(
  queries: Queries,
  links: readonly Link[],
  isShown: (linked: Avatar) => boolean,
): Promise<{ links: LinkState[]; bytes: number }> {
  const states = links.map((link): { -readonly [key in keyof LinkState]: LinkState[key] } => ({
    ...link,
    digest: null,
  }))
  const shown = [...states.entries()].filter(([, { avatar }]) => isShown(avatar))
  if (shown.length === 0) return { links: states, bytes: 0 }
  let bytes = 0
  const values = [
    shown.map(([at]) => at),
    shown.map(([, { avatar }]) => bytea(avatar)),
    shown.map(([, { avatar }]) => avatar),
    shown.map(([, { key }]) => keyColumns(key).sort_key),
    OWN_PLATFORM,
  ]
  type Columns = { readonly at: number; readonly digest: Uint8Array | null; readonly bytes: number | null }
  for (const row of await queries.rows<Columns>('linkedMembers', values)) {
    const state = states[row.at]
    if (state !== undefined && row.digest !== null) state.digest = toHex(row.digest).slice(2)
    bytes += row.bytes ?? 0
  }
  return { links: states, bytes }
}

/** The avatars that link to an avatar, in ascending order, `after` exclusive, each with the keys. */
export async function readLinkedFrom(
  queries: Queries,
  linked: Avatar,
  { after, limit }: { readonly after?: Avatar; readonly limit: number },
): Promise<{ owners: LinkedFrom[]; isLast: boolean }> {
  const owners: { avatar: Avatar; keys: string[] }[] = []
  let length = 0
  // No sort key is as great as this one: all keys of `after` are passed.
  let from: readonly [Uint8Array, Uint8Array] =
    after === undefined ? [NO_BYTES, NO_BYTES] : [bytea(after), Buffer.of(2)]
  for (;;) {
    const page = await queries.rows<{ avatar: Uint8Array; key: Uint8Array }>('linkedFrom', [
      bytea(linked),
      ...from,
      PAGE_LINKS,
    ])
    for (const row of page) {
      const avatar = avatarOf(row.avatar)
      const current = owners.at(-1)
      if (current?.avatar !== avatar && (owners.length >= limit || length >= LINKED_FROM_CHARACTERS)) {
        return { owners, isLast: false }
      }
      const key = bytesText(row.key)
      length += key.length
      if (current?.avatar === avatar) current.keys.push(key)
      else owners.push({ avatar, keys: [key] })
    }
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE_LINKS) return { owners, isLast: true }
    from = [last.avatar, keyColumns(bytesText(last.key)).sort_key]
  }
}
