/** The records that a person signs on, and whether they are still the right ones once the person has signed. */
import type { Citation, PatchBody, RecordId, VerifiedRecord } from '../record/types.ts'
import type { LocalAvatar } from '../client/local-avatar.ts'
import { GONE, SUPERSEDED, UNSEEN } from './reasons.ts'
import type { AvatarReplica } from './avatar-replica.ts'

export interface SigningBase {
  readonly tips: readonly Citation[]
  /** If no node was ever asked about the avatar: the ids of all records that are known, own writes. */
  readonly unread: ReadonlySet<RecordId> | undefined
}

/** @param local the state to build on */
export function signingBaseOf(replica: AvatarReplica, local: LocalAvatar): SigningBase {
  const { tips } = local
  return { tips, unread: replica.isUnseen ? new Set(Array.from(local.records, ({ id }) => id)) : undefined }
}

/**
 * Whether records that were signed on a base would have an effect now, and be seen.
 *
 * @param local the state that they would be added to
 * @returns why not, for people
 */
export function whyOutdated(
  replica: AvatarReplica,
  { unread }: SigningBase,
  records: readonly VerifiedRecord[],
  local: LocalAvatar,
): string | undefined {
  const base = local.base?.counter ?? 0
  if (records.some(({ body }) => body.counter < base)) return SUPERSEDED
  if (unread !== undefined && [...replica.confirmed.records].some(({ id }) => !unread.has(id))) return UNSEEN
  const own = new Set(records.map(({ id }) => id))
  const isThere = ({ counter, id }: Citation): boolean => counter < base || own.has(id) || local.get(id) !== undefined
  return records.every(({ body }) => (body as PatchBody).prev.every(isThere)) ? undefined : GONE
}
