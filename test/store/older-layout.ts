import { bytesText } from '../../src/store/bytes.ts'
import * as keys from '../../src/store/keys.ts'
import { decodeRecord, decodeSummary, encodeFeed } from '../../src/store/rows.ts'
import { seal, startRow, unseal } from '../../src/store/seal.ts'
import type { RecordBody } from '../../src/record/types.ts'
import type { ChangeEvent } from '../../src/store/types.ts'
import type { RawDb } from './harness.ts'

/* Rows as layouts 1 to 3 had them, written from the layout's description and not with the code of today. */

const TYPES = ['patch', 'snapshot', 'part']
const SUMMARY_KEY_BYTES = 35

export const text = (value: string): Uint8Array => new TextEncoder().encode(value)
export const tableOf = (letter: string) => ({
  gte: text(letter),
  lt: text(String.fromCharCode(letter.charCodeAt(0) + 1)),
})

const put = (db: RawDb, key: Uint8Array, row: Uint8Array): Promise<void> => db.put(key, seal(key, row))

/**
 * Rewrites the rows of layout 4 as those of layout 3.
 *
 * @param told all events so far: layout 3 has those of pruned records too
 */
export async function toThirdLayout(db: RawDb, told: readonly ChangeEvent[] = []): Promise<void> {
  for (const { sequence, kind, avatar, counter, id } of told) {
    await put(db, keys.feedKey(sequence), encodeFeed({ kind, avatar, counter, id }))
  }
  const live = new Set<string>()
  for await (const [key] of db.iterator(tableOf('o'))) live.add(Buffer.from(key).toString('hex'))
  for (const letter of ['b', 'h', 'i', 'o']) await db.clear(tableOf(letter))
  for await (const [key, row] of db.iterator(tableOf('s'))) {
    const sequence = keys.sequenceInKey(key)
    const { type, avatar, counter, id, signature, payload } = decodeRecord(unseal(key, row)!)
    const { created_at: createdAt } = JSON.parse(bytesText(payload)) as RecordBody
    const [kind, place, bytes] = [TYPES.indexOf(type), { counter, id }, payload.length + signature.length]
    const old = Buffer.concat([text('r'), Buffer.from(avatar.slice(2), 'hex'), key.subarray(1)])
    await db.del(key)
    await put(db, old, startRow(600).u8(kind).u64(counter).hex(id).bytes(signature).bytes(payload).finish())
    await put(db, keys.feedKey(sequence), encodeFeed({ kind: 'record', avatar, ...place }))
    const history = startRow(32).u64(sequence).u64(createdAt).varint(bytes).u8(kind)
    await put(db, keys.historyKey(avatar, place), history.finish())
    await put(db, keys.idKey(id), startRow(56).hex(avatar).u64(counter).u8(kind).u64(sequence).finish())
    const order = keys.orderKey(createdAt, id)
    if (!live.has(Buffer.from(order).toString('hex'))) continue
    await put(db, order, startRow(48).hex(avatar).u64(sequence).finish())
  }
  await db.del(text('mfloor'))
  await db.put(text('mschema'), text('3'))
}

/** Rewrites the rows of layout 3 as those of layout 1: summaries and totals that do not count history, all of which was kept. */
export async function toFirstLayout(db: RawDb): Promise<void> {
  for await (const [key, row] of db.iterator(tableOf('v'))) {
    if (key.length !== SUMMARY_KEY_BYTES) continue
    const content = unseal(key, row)!
    const { keptRecords, keptBytes } = decodeSummary(content)
    const counts = startRow(16).varint(keptRecords).varint(keptBytes).finish().length - 4
    await put(db, key, startRow(512).bytes(content.subarray(0, -counts)).finish())
  }
  await put(db, text('mtotals'), startRow(24).u64(9).u64(2).u64(5).finish())
  await db.del(text('marchive'))
  await db.put(text('mschema'), text('1'))
}
