import { createHash, type Hash } from 'node:crypto'

import type { AvatarSummary, LinkedSnapshot } from '../../store/types.ts'

/** Hex digits of a hash in a tag: 128 bits, so that two states never share one by chance. */
const HASH_DIGITS = 32

/**
 * Strong entity tag of an avatar's document: its digest. The digest covers only visible records; the document also shows
 * pending and missing ones, so if there are any, their hash follows.
 */
export function etagOfSummary(summary: AvatarSummary): string {
  return etagOf(summary.digest, summary)
}

/** Strong entity tag of an avatar's document with its linked view: the linked digest, as in `etagOfSummary`. */
export function etagOfLinked({ linkedDigest, summary }: Pick<LinkedSnapshot, 'linkedDigest' | 'summary'>): string {
  return etagOf(linkedDigest, summary)
}

function etagOf(digest: string, { pending, missing }: AvatarSummary): string {
  if (pending === 0 && missing.total === 0) return `"${digest}"`
  return `"${digest}-${hash(JSON.stringify([pending, missing.total, missing.ids]))}"`
}

/** Strong entity tag of a text, by the SHA-256 of its bytes. */
export function etagOfHash(text: Hash): string {
  return `"${text.digest('hex').slice(0, HASH_DIGITS)}"`
}

/** Headers, as `ServerResponse.writeHead` takes them: caches may store the answer but must revalidate it each time. */
export function cacheHeaders(etag: string): string[] {
  return ['etag', etag, 'cache-control', 'no-cache']
}

/** Whether `If-None-Match` names the entity tag (RFC 9110, 13.1.2: weak comparison, a list, or `*`). */
export function matchesEtag(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false
  if (ifNoneMatch === etag || ifNoneMatch.trim() === '*') return true
  return ifNoneMatch.split(',').some((each) => each.trim().replace(/^W\//, '') === etag)
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, HASH_DIGITS)
}
