/**
 * Builds one batch from records: decides the result of each record and gives every row that changes to the sink. Writes nothing. A caller
 * that cannot write the batch must evict the entries that took part.
 */
import { yieldToEventLoop } from '../platform/yield.ts'
import { compareCitations } from '../record/order.ts'
import type { Avatar, Citation, RecordBody, VerifiedRecord } from '../record/types.ts'
import { AvatarBatch } from './avatar-batch.ts'
import type { AvatarEntry } from './avatar-entry.ts'
import { bytesOf, BatchEffects, type Batch, type BatchContext } from './batch.ts'
import { NOTHING, plus, type Counts } from './counts.ts'
import { fullFor } from './quotas.ts'
import type { Change } from './rows.ts'
import type { CommitResult } from './types.ts'

/** Rows read, and rows written, before a large batch yields to the event loop: a few milliseconds. */
const READS_PER_YIELD = 1_000
const OPERATIONS_PER_YIELD = 2_000
/** Cost of a record in reads, besides the rows read for it (thousands for a snapshot). */
const READS_A_RECORD = 4

/** @throws CorruptRowError */
export async function buildBatch(context: BatchContext, records: readonly VerifiedRecord[]): Promise<Batch> {
  const entries = new Map<Avatar, AvatarEntry>()
  for (const { body } of records) {
    if (!entries.has(body.avatar)) entries.set(body.avatar, await context.entryOf(body.avatar))
  }
  const parts = new Map([...entries].map(([avatar, entry]) => [avatar, new AvatarBatch(context, entry)]))
  const node = (): Counts => [...parts.values()].reduce((sum, part) => plus(sum, part.change()), context.counts)
  const changes: Change[] = []
  const refusals = new Map<number, CommitResult>()
  let sequence = context.lastSequence
  let reads = 0
  const isTight = mayExceed(context, entries, records)
  for (const at of isTight ? inOrder(records) : records.keys()) {
    const record = records[at] as VerifiedRecord
    const part = parts.get(record.body.avatar) as AvatarBatch
    if (reads >= READS_PER_YIELD) {
      reads = 0
      await yieldToEventLoop()
    }
    const refusal = await part.refuse(record, isTight, node)
    if (refusal === undefined) {
      const changed = await part.add(record, sequence)
      if (isTight) await part.settle()
      sequence += changed.length
      changes.push(...changed)
    } else {
      refusals.set(at, refusal)
    }
    reads += READS_A_RECORD + part.entry.takeReads()
  }
  // A result says how the record stands after the whole batch.
  const results = records.map((record, at) => {
    const part = parts.get(record.body.avatar) as AvatarBatch
    const refusal = refusals.get(at)
    // Stored or not, the sender must learn that the record has no effect any more.
    if (refusal?.status === 'duplicate' && part.isSuperseded(record)) return { status: 'superseded' as const }
    return refusal ?? part.outcome(record)
  })
  const made = new BatchEffects()
  const { sink } = context
  let unpaused = 0
  for (const part of parts.values()) {
    await part.finish(made)
    if (sink.size - unpaused < OPERATIONS_PER_YIELD) continue
    unpaused = sink.size
    await yieldToEventLoop()
  }
  for (const change of changes) sink.putChange(change)
  return { ...made, entries, results, changes, lastSequence: sequence, counts: node() }
}

/** Whether storing all of the records could exceed a quota. */
function mayExceed(
  { quotas, counts }: BatchContext,
  entries: ReadonlyMap<Avatar, AvatarEntry>,
  records: readonly VerifiedRecord[],
): boolean {
  const all = { records: 0, bytes: 0 }
  const each = new Map<Avatar, { records: number; bytes: number }>()
  for (const record of records) {
    const own = each.get(record.body.avatar) ?? { records: 0, bytes: 0 }
    each.set(record.body.avatar, own)
    for (const sum of [own, all]) {
      sum.records += 1
      sum.bytes += bytesOf(record)
    }
  }
  for (const [avatar, own] of each) {
    if (fullFor(quotas, entries.get(avatar)?.counts ?? NOTHING, NOTHING, own).length > 0) return true
  }
  return fullFor(quotas, NOTHING, counts, all).length > 0
}

const RANKS: Readonly<Record<RecordBody['type'], number>> = { snapshot: 0, part: 1, patch: 2 }

/**
 * The order in which records are added if there may not be room for all, so that the result does not depend on the order of
 * the submission: first snapshots, which free space, then their parts, then patches, oldest first.
 */
function inOrder(records: readonly VerifiedRecord[]): number[] {
  const rankOf = (at: number): number => RANKS[(records[at] as VerifiedRecord).body.type]
  const placeOf = (at: number): Citation => {
    const { id, body } = records[at] as VerifiedRecord
    return { counter: body.counter, id }
  }
  return [...records.keys()].sort((a, b) => rankOf(a) - rankOf(b) || compareCitations(placeOf(a), placeOf(b)))
}
