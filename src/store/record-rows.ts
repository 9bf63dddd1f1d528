/** Builds the rows that store a record or a change (see `keys.ts`). */
import type { VerifiedRecord } from '../record/types.ts'
import type { Change } from './rows.ts'
import { put, putSealed, type Operations } from './level.ts'
import * as keys from './keys.ts'
import * as rows from './rows.ts'

export function pushRecord(operations: Operations, record: VerifiedRecord, sequence: number): void {
  const { id, signature, payload, body } = record
  const { type, avatar, counter } = body
  const row = rows.encodeRecord({ type, avatar, counter, id, signature, payload })
  operations.push(putSealed(keys.recordKey(sequence), row))
}

/** The facts of a record that its index rows have. */
type Indexed = Pick<rows.RecordRow, 'avatar' | 'counter' | 'id' | 'type'> & { readonly createdAt: number }

export function indexed({ id, body }: VerifiedRecord): Indexed {
  return { avatar: body.avatar, counter: body.counter, id, type: body.type, createdAt: body.created_at }
}

/** Adds the index rows of a stored record to `operations`. */
export function pushIndexes(
  operations: Operations,
  { avatar, counter, id, type, createdAt }: Indexed,
  sequence: number,
  bytes: number,
  isLive: boolean,
): void {
  operations.push(
    put(keys.arrivalKey(avatar, sequence)),
    putSealed(keys.historyKey(avatar, { counter, id }), rows.encodeHistory({ sequence, createdAt, bytes, type })),
    putSealed(keys.idKey(id), rows.encodeLocation({ sequence, counter, type })),
  )
  if (isLive) operations.push(putSealed(keys.orderKey(createdAt, id), rows.encodeSequence(sequence)))
}

/** Adds the feed's entry of a change. A stored record is its own entry. */
export function pushFeed(operations: Operations, change: Change): void {
  const { avatar, sequence, kind } = change
  if (kind === 'record') return
  operations.push(
    putSealed(keys.feedKey(sequence), rows.encodeFeed(change)),
    putSealed(keys.avatarFeedKey(avatar, sequence), rows.encodeFeed(change)),
  )
}
