/** Builds the rows that store a record or a change (see `keys.ts`). */
import type { VerifiedRecord } from '../record/types.ts'
import type { Change } from './batch.ts'
import { putSealed, type Operation } from './level.ts'
import * as keys from './keys.ts'
import * as rows from './rows.ts'

export function pushRecord(operations: Operation[], record: VerifiedRecord, sequence: number): void {
  const { id, signature, payload, body } = record
  const row = rows.encodeRecord({ type: body.type, counter: body.counter, id, signature, payload })
  operations.push(putSealed(keys.recordKey(body.avatar, sequence), row))
}

/** Adds the index rows of a stored record to `operations`. */
export function pushIndexes(
  operations: Operation[],
  { id, body }: VerifiedRecord,
  sequence: number,
  bytes: number,
  isLive: boolean,
): void {
  const { avatar, counter, created_at: createdAt, type } = body
  operations.push(
    putSealed(keys.historyKey(avatar, { counter, id }), rows.encodeHistory({ sequence, createdAt, bytes, type })),
    putSealed(keys.idKey(id), rows.encodeLocation({ avatar, counter, type, sequence })),
  )
  if (isLive) operations.push(putSealed(keys.orderKey(createdAt, id), rows.encodeOrder({ avatar, sequence })))
}

export function pushFeed(operations: Operation[], change: Change): void {
  const { avatar, sequence, kind } = change
  operations.push(putSealed(keys.feedKey(sequence), rows.encodeFeed(change)))
  if (kind === 'superseded') {
    operations.push(putSealed(keys.avatarFeedKey(avatar, sequence), rows.encodeFeed(change)))
  }
}
