/**
 * The linked view of an avatar, verified for its owner and for each avatar that it links to (docs/protocol.md, "Linked keys").
 */
import { OWN_PLATFORM } from '../record/members.ts'
import type { Avatar } from '../record/types.ts'
import { linkedView, linksOf, type Link } from '../state/links.ts'
import { messageOf } from '../platform/errors.ts'
import { ClientError } from './errors.ts'
import type { LinkedAvatar, VerifiedAvatar, VerifiedLink, VerifiedState } from './types.ts'

/** Linked avatars that are read at the same time. */
const AT_A_TIME = 4

/** Reads each of the linked avatars once, some at a time. The first failure of `read` rejects. */
export async function readEachLinked(
  links: readonly Link[],
  read: (avatar: Avatar) => Promise<unknown>,
): Promise<void> {
  const left = [...new Set(links.map(({ avatar }) => avatar))]
  const next = async (): Promise<void> => {
    for (let each = left.pop(); each !== undefined; each = left.pop()) await read(each)
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, next))
}

/** A linked avatar as it was read; `failure` where no node answered for it. */
type LinkedRead =
  | { readonly verified: VerifiedAvatar; readonly failure?: undefined }
  | { readonly failure: ClientError; readonly verified?: undefined }

/**
 * Reads an avatar and the avatars that it links to.
 *
 * @param read reads one avatar and verifies it
 * @param known the avatar as it was read last: what it linked to then is read at the same time as the avatar itself
 */
export async function readLinked(
  read: (avatar: Avatar) => Promise<VerifiedAvatar>,
  avatar: Avatar,
  known?: Pick<VerifiedAvatar, 'namespaces'>,
): Promise<LinkedAvatar> {
  const reads = new Map<Avatar, Promise<LinkedRead>>()
  const readAll = (links: readonly Link[]): Promise<void> =>
    readEachLinked(links, async (each) => {
      if (reads.has(each)) return
      const reading = read(each).then((verified): LinkedRead => ({ verified }), failureOf)
      reads.set(each, reading)
      // The call that needs this avatar gets the error.
      await reading.catch(() => {})
    })
  const early = readAll(known === undefined ? [] : linksOf(avatar, known.namespaces))
  const [own] = await Promise.all([read(avatar), early])
  const links = linksOf(avatar, own.namespaces)
  await readAll(links)
  const done = new Map<Avatar, LinkedRead>()
  for (const link of links) done.set(link.avatar, await (reads.get(link.avatar) as Promise<LinkedRead>))
  return joined(own, links, done)
}

function failureOf(error: unknown): LinkedRead {
  if (error instanceof ClientError && error.code !== 'aborted') return { failure: error }
  throw error
}

function joined(own: VerifiedAvatar, links: readonly Link[], reads: ReadonlyMap<Avatar, LinkedRead>): LinkedAvatar {
  const held = (avatar: Avatar): VerifiedAvatar | undefined => {
    const verified = reads.get(avatar)?.verified
    return verified !== undefined && verified.records > 0 ? verified : undefined
  }
  const view = linkedView(own.avatar, own, held)
  const reports = view.links.map((link): VerifiedLink => {
    const verified = reads.get(link.avatar)?.verified
    return { ...link, state: verified?.state ?? 'behind', nodes: verified?.nodes ?? [] }
  })
  const problems = [...reads.values()].flatMap(({ verified, failure }) =>
    failure === undefined
      ? verified.problems
      : [{ node: failure.node ?? '', code: 'unreachable' as const, message: messageOf(failure) }],
  )
  return {
    ...own,
    state: worstOf([own.state, ...reports.map(({ state }) => state)]),
    problems: [...own.problems, ...problems],
    namespaces: links.length === 0 ? own.namespaces : Object.freeze(view.namespaces.map(frozen)),
    linkedDigest: view.linkedDigest,
    links: reports,
    writers: writersOf(own.avatar, view.namespaces, links),
  }
}

/** Values are frozen already: only the content of the own namespace is new. */
function frozen<T extends { readonly content: object }>(entry: T): T {
  Object.freeze(entry.content)
  return Object.freeze(entry)
}

/** By the top-level keys of the own namespace. */
function writersOf(
  avatar: Avatar,
  namespaces: LinkedAvatar['namespaces'],
  links: readonly Link[],
): ReadonlyMap<string, Avatar> {
  const own = namespaces.find(({ platform, identity }) => platform === OWN_PLATFORM && identity === avatar)
  const linked = new Map(links.map((link) => [link.key, link.avatar]))
  return new Map(Object.keys(own?.content ?? {}).map((key) => [key, linked.get(key) ?? avatar]))
}

function worstOf(states: readonly VerifiedState[]): VerifiedState {
  return states.find((state) => state === 'missing') ?? states.find((state) => state === 'behind') ?? 'verified'
}
