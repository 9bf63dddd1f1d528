/** The row of an avatar. */
import { fromHex, toHex } from '../bytes.ts'
import type { SummaryRow } from '../rows.ts'
import type { Avatar, RecordId } from '../../record/types.ts'
import type { AvatarSummary } from '../types.ts'
import { avatarOf, bytea, citationsJson, citationsOf, idOf, type CitationsColumn } from './values.ts'

export interface SummaryColumns {
  readonly avatar: Uint8Array
  readonly head: number
  /** Null until the transaction that inserts the avatar has its first record. */
  readonly digest: Uint8Array | null
  readonly base_counter: number | null
  readonly base_id: Uint8Array | null
  readonly tips: CitationsColumn
  readonly tips_total: number
  readonly pending: number
  readonly incomplete: number
  readonly missing: readonly RecordId[]
  readonly missing_total: number
  readonly records: number
  readonly bytes: number
  readonly id_sum: Uint8Array | null
  readonly kept_records: number
  readonly kept_bytes: number
  readonly namespaces: number
}

export type StoredSummary = AvatarSummary & SummaryRow

/** Returns undefined for the row of an avatar without records. */
export function summaryOf(row: SummaryColumns): StoredSummary | undefined {
  if (row.digest === null || row.id_sum === null) return undefined
  return {
    avatar: avatarOf(row.avatar),
    head: row.head,
    digest: toHex(row.digest).slice(2),
    base:
      row.base_counter === null || row.base_id === null ? null : { counter: row.base_counter, id: idOf(row.base_id) },
    tips: citationsOf(row.tips),
    tipsTotal: row.tips_total,
    pending: row.pending,
    incomplete: row.incomplete,
    missing: { total: row.missing_total, ids: row.missing },
    records: row.records,
    bytes: row.bytes,
    idSum: row.id_sum,
    keptRecords: row.kept_records,
    keptBytes: row.kept_bytes,
    namespaces: row.namespaces,
  }
}

/** The values of the statement `putSummaries` for one avatar. */
export function summaryValues(avatar: Avatar, row: SummaryRow): unknown[] {
  return [
    bytea(avatar),
    row.head,
    fromHex(`0x${row.digest}`),
    row.base?.counter ?? null,
    row.base === null ? null : bytea(row.base.id),
    citationsJson(row.tips),
    row.tipsTotal,
    row.pending,
    row.incomplete,
    JSON.stringify(row.missing.ids),
    row.missing.total,
    row.records,
    row.bytes,
    row.idSum,
    row.keptRecords,
    row.keptBytes,
    row.namespaces,
  ]
}
