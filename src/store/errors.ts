import type { Avatar, RecordId } from '../record/types.ts'
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

/** The store cannot be opened, read or written to; the message says what to do. */
export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly code: StoreErrorCode

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** A row that says where a record is fails its check; it can be of any avatar. */
export class CorruptLocationError extends Error {
  override readonly name = 'CorruptLocationError'
  readonly id: RecordId

  constructor(id: RecordId) {
    super(`The stored row that says where ${id} is fails its check.`)
    this.id = id
  }
}

/** A row of one avatar is not what was written: it is never served, the avatar is rebuilt from its records. */
export class CorruptRowError extends Error {
  override readonly name = 'CorruptRowError'
  readonly avatar: Avatar
  /** The kind of row, as the key table names it. */
  readonly row: string
  /** The namespace that the avatar claims without having it: either its row is lost, or the claim should be gone. */
  readonly claim: NamespaceName | undefined

  /** @param avatar the one that is read, of which the row should be */
  constructor(avatar: Avatar, row: string, detail: string, claim?: NamespaceName) {
    super(`A stored ${row} row of ${avatar} fails its check: ${detail}.`)
    this.avatar = avatar
    this.row = row
    this.claim = claim
  }
}

/**
 * Mends the avatar whose row failed its check while a moment was read. That moment stays damaged, so the reader must begin
 * again with a new one.
 *
 * @returns the error for the reader; any other error as it is
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
