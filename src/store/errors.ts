import type { Avatar, RecordId } from '../record/types.ts'
import { CodedError } from '../platform/errors.ts'
import type { NamespaceName } from '../state/content.ts'

export type StoreErrorCode =
  | 'locked'
  | 'schema_newer'
  | 'wrong_network'
  | 'unreadable'
  | 'incomplete'
  | 'disk_full'
  | 'write_failed'
  | 'damaged'
  | 'reopened'
  | 'unavailable'

/** The store cannot be opened, read or written. The message says what to do. */
export class StoreError extends CodedError<StoreErrorCode> {
  override readonly name = 'StoreError'
}

/** The avatar being read; or the record, if its avatar is unknown. */
type RowOwner = { readonly avatar: Avatar } | RecordOfUnknown

export interface RecordOfUnknown {
  readonly record: RecordId
  /** Set if a row of the sync index names the record. */
  readonly createdAt?: number
}

/** A row fails its check. It is never served; the store rebuilds the avatar from its records. */
export class CorruptRowError extends Error {
  override readonly name = 'CorruptRowError'
  readonly owner: RowOwner
  /** The kind of row. */
  readonly row: string
  /** A namespace that the avatar claims but does not have: its row is lost, or the claim is stale. */
  readonly claim: NamespaceName | undefined

  constructor(owner: Avatar | RowOwner, row: string, detail: string, claim?: NamespaceName) {
    const known = typeof owner === 'string' ? { avatar: owner } : owner
    super(`A stored ${row} row of ${'avatar' in known ? known.avatar : known.record} fails its check: ${detail}.`)
    this.owner = known
    this.row = row
    this.claim = claim
  }
}

/**
 * Repairs the avatar whose row failed its check during a long read. The moment that was read stays damaged, so the reader must
 * start again with a new one.
 *
 * @returns the error for the reader; any other error unchanged
 */
export async function afterRowRepair(
  error: unknown,
  repairRow: (error: CorruptRowError) => Promise<void>,
): Promise<unknown> {
  if (!(error instanceof CorruptRowError)) return error
  await repairRow(error)
  const message = `${error.message} The node has rebuilt the avatar from its records. Read it again from the beginning.`
  return new StoreError('unreadable', message, { cause: error })
}
