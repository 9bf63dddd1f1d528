import type { IngestResult } from '../ingest/types.ts'
import { recordDigest } from '../record/id.ts'
import type { SignedRecord } from '../record/types.ts'
import { asSyncError, SyncError } from './errors.ts'
import type { Bound } from '../negentropy/types.ts'
import { payloadHead } from '../record/payload-head.ts'
import { unexpected, type Session } from './session.ts'

/** Frames between two writes of the mark, about 1 MiB: after a kill, this much is requested again. */
const FRAMES_PER_MARK = 4
/** After this many known records in a row, reconciling is better than streaming. */
const MAX_HELD_IN_A_ROW = 16_384

/**
 * Requests all records from a bound on, stores them as they arrive, and updates the mark.
 *
 * @returns how many records were new
 * @throws SyncError
 */
export async function receiveBulk({ parts, channel, intake }: Session, from: Bound): Promise<number> {
  const { lease, peer, progress, memory, mark } = parts
  const before = intake.totals.accepted
  let lastCreatedAt = from.timestamp
  let heldInARow = 0
  let frames = 0
  /** The last record that is on disk together with all records before it. */
  let last = undefined as SignedRecord | undefined

  async function take(records: readonly SignedRecord[]): Promise<void> {
    checkOrder(records)
    progress.recordsIn += records.length
    await intake.add(records, (results) => note(records, results))
  }

  function checkOrder(records: readonly SignedRecord[]): void {
    for (const { payload } of records) {
      const head = payloadHead(payload)
      if (head === undefined) throw new SyncError('invalid_record', 'The peer sent bytes that are not a payload.')
      if (head.createdAt < lastCreatedAt) {
        throw new SyncError('unasked_record', 'The peer streams records in another order than that of their time.')
      }
      lastCreatedAt = head.createdAt
    }
  }

  async function note(records: readonly SignedRecord[], results: readonly IngestResult[]): Promise<void> {
    let bytes = 0
    for (const [at, { status }] of results.entries()) {
      if (status === 'duplicate') {
        heldInARow += 1
        continue
      }
      heldInARow = 0
      if (status === 'stored' || status === 'pending') bytes += records[at]?.payload.length ?? 0
    }
    lease.brought(peer, bytes)
    progress.accepted = intake.totals.accepted
    progress.done = progress.recordsIn
    if (heldInARow > MAX_HELD_IN_A_ROW) {
      memory.bulkDone = true
      last = undefined
      await mark.write(null)
      throw new SyncError(
        'useless_bulk',
        'The peer streams records that are held already; they are reconciled instead.',
      )
    }
    frames += 1
    last = records.at(-1)
    if (frames % FRAMES_PER_MARK === 0) await markLast()
  }

  /** Writes the mark. The last record itself will be sent again. */
  async function markLast(): Promise<void> {
    if (last === undefined) return
    const { payload } = last
    last = undefined
    const timestamp = payloadHead(payload)?.createdAt ?? 0
    await mark.write({ timestamp, id: recordDigest(payload, parts.keccak256) })
  }

  if (!lease.take(peer)) throw new SyncError('elsewhere', 'This node is bootstrapping from another peer.')
  try {
    await mark.write(from)
    await channel.send({ kind: 'bulk', from })
    for (;;) {
      const frame = await channel.expect()
      if (frame.kind === 'delivered') break
      if (frame.kind !== 'records') throw unexpected(frame)
      await take(frame.records)
    }
    await intake.drain()
    memory.bulkDone = true
    await mark.write(null)
    return intake.totals.accepted - before
  } catch (error) {
    intake.stop(asSyncError(error))
    await intake.settled()
    await markLast()
    throw error
  } finally {
    lease.release(peer)
  }
}
