/** Builds the rows that store a record or a change (see `keys.ts`). */
import type { VerifiedRecord } from '../record/types.ts'
import type { Change } from './batch.ts'
import type { Operation } from './level.ts'
import * as keys from './keys.ts'
import * as rows from './rows.ts'
import { seal } from './seal.ts'

export function pushRecord(operations: Operation[], record: VerifiedRecord, sequence: number): void {
  const { id, signature, payload, body } = record
  const key = keys.recordKey(body.avatar, sequence)
  const row = rows.encodeRecord({ type: body.type, counter: body.counter, id, signature, payload })
  operations.push({ type: 'put', key, value: seal(key, row) })
}

/** Adds the index rows of a stored record to `operations`. */
export function pushIndexes(
  operations: Operation[],
  record: VerifiedRecord,
  sequence: number,
  bytes: number,
  isLive: boolean,
): void {
  const { id, body } = record
  const { avatar, counter, created_at: createdAt, type } = body
  const history = keys.historyKey(avatar, { counter, id })
  const byId = keys.idKey(id)
  const order = keys.orderKey(createdAt, id)
  operations.push(
    { type: 'put', key: history, value: seal(history, rows.encodeHistory({ sequence, createdAt, bytes, type })) },
    { type: 'put', key: byId, value: seal(byId, rows.encodeLocation({ avatar, counter, type, sequence })) },
  )
  if (isLive) operations.push({ type: 'put', key: order, value: seal(order, rows.encodeOrder({ avatar, sequence })) })
}

export function pushFeed(operations: Operation[], change: Change): void {
  const key = keys.feedKey(change.sequence)
  operations.push({ type: 'put', key, value: seal(key, rows.encodeFeed(change)) })
  if (change.kind === 'record') return
  const own = keys.avatarFeedKey(change.avatar, change.sequence)
  operations.push({ type: 'put', key: own, value: seal(own, rows.encodeFeed(change)) })
}
