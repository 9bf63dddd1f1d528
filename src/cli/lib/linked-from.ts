import type { NodeApi } from '../../client/node-api.ts'
import { parseAvatar } from '../../record/keys.ts'
import type { Avatar } from '../../record/types.ts'
import { CliError } from './errors.ts'

/** Links that one call lists at most. */
const MAX_LISTED = 10_000
/** A page ends after 1 Mi characters of keys, each of which takes up to 6 bytes as JSON. */
const MAX_PAGE_BYTES = 16 * 1024 * 1024

interface LinkedFrom {
  readonly avatar: Avatar
  readonly key: string
}

/** The avatars on a node that link to an avatar, as the node says. @throws CliError if the answer is of another form */
export async function linkedFrom(api: NodeApi, avatar: Avatar): Promise<LinkedFrom[]> {
  const found: LinkedFrom[] = []
  for (let cursor: string | null = ''; cursor !== null && found.length < MAX_LISTED;) {
    const query: string = cursor === '' ? '' : `?cursor=${encodeURIComponent(cursor)}`
    const request = { path: `/v2/avatars/${avatar}/linked-from${query}`, maxBytes: MAX_PAGE_BYTES, signal: undefined }
    const page = (await api.transport.ask(request, (value) => pageOf(value, api))).value
    if (page === undefined) return found
    found.push(...page.links)
    cursor = page.cursor === cursor ? null : page.cursor
  }
  return found.slice(0, MAX_LISTED)
}

function pageOf(value: unknown, { url }: NodeApi): { links: LinkedFrom[]; cursor: string | null } {
  const { links, cursor } = (value ?? {}) as { links?: unknown; cursor?: unknown }
  if (!Array.isArray(links) || !(cursor === null || typeof cursor === 'string')) throw badAnswer(url)
  return {
    links: (links as unknown[]).map((each) => {
      const { avatar, key } = (each ?? {}) as { avatar?: unknown; key?: unknown }
      if (typeof avatar !== 'string' || typeof key !== 'string') throw badAnswer(url)
      return { avatar: parseAvatar(avatar), key }
    }),
    cursor,
  }
}

function badAnswer(url: string): CliError {
  return new CliError(
    'failed',
    `The node at ${url} did not answer with a list of links. It may be of an older version. Ask another node with --node URL.`,
  )
}
