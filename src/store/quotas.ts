/** Quota checks. Only live records count, because the store deletes history in their favour. */
import type { Counts } from './counts.ts'
import type { Quotas, QuotaUse } from './types.ts'

export const NO_QUOTAS: Quotas = { avatarBytes: 0, avatarRecords: 0, totalBytes: 0, totalRecords: 0 }

/** A quota that has no room for a record. */
export interface FullQuota {
  readonly code: 'avatar_quota' | 'node_quota'
  readonly use: QuotaUse
}

/** Returns the quotas that additional live records would exceed; those of the avatar first. */
export function fullFor(
  quotas: Quotas,
  avatar: Counts,
  node: Counts,
  { records, bytes }: { readonly records: number; readonly bytes: number },
): FullQuota[] {
  const each: [FullQuota['code'], QuotaUse['unit'], limit: number, used: number, more: number][] = [
    ['avatar_quota', 'bytes', quotas.avatarBytes, avatar.bytes, bytes],
    ['avatar_quota', 'records', quotas.avatarRecords, avatar.records, records],
    ['node_quota', 'bytes', quotas.totalBytes, node.bytes, bytes],
    ['node_quota', 'records', quotas.totalRecords, node.records, records],
  ]
  return each
    .filter(([, , limit, used, more]) => limit > 0 && used + more > limit)
    .map(([code, unit, limit, used]) => ({ code, use: { unit, used, limit } }))
}

/** Whether an avatar, history included, stays within its quotas after adding `records` and `bytes`. */
export function isAvatarWithin(quotas: Quotas, avatar: Counts, records = 0, bytes = 0): boolean {
  return (
    isWithin(quotas.avatarBytes, avatar.keptBytes + bytes) &&
    isWithin(quotas.avatarRecords, avatar.keptRecords + records)
  )
}

/** The same for all avatars together. */
export function isNodeWithin(quotas: Quotas, node: Counts, records = 0, bytes = 0): boolean {
  return (
    isWithin(quotas.totalBytes, node.keptBytes + bytes) && isWithin(quotas.totalRecords, node.keptRecords + records)
  )
}

function isWithin(limit: number, amount: number): boolean {
  return limit === 0 || amount <= limit
}
