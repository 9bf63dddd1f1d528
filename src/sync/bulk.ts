import type { IngestResult } from '../ingest/types.ts'
import { recordDigest } from '../record/id.ts'
import type { SignedRecord } from '../record/types.ts'
import type { Channel } from './channel.ts'
import { asSyncError, SyncError } from './errors.ts'
import type { Intake } from './intake.ts'
import type { Bound } from '../negentropy/types.ts'
import { payloadHead } from '../record/payload-head.ts'
import { unexpected, type SessionParts } from './session.ts'

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
export async function receiveBulk(parts: SessionParts, channel: Channel, intake: Intake, from: Bound): Promise<number> {
  if (!parts.lease.take(parts.peer)) {
    throw new SyncError('elsewhere', 'This node is bootstrapping from another peer.')
  }
  const stream = new BulkStream(parts, channel, intake)
  try {
    return await stream.run(from)
  } catch (error) {
    intake.stop(asSyncError(error))
    await intake.settled()
    await stream.markLast()
    throw error
  } finally {
    parts.lease.release(parts.peer)
  }
}

class BulkStream {
  readonly #parts: SessionParts
  readonly #channel: Channel
  readonly #intake: Intake
  #lastCreatedAt: number
  #heldInARow = 0
  #frames = 0
  /** The last record that is on disk together with all records before it. */
  #last: SignedRecord | undefined

  constructor(parts: SessionParts, channel: Channel, intake: Intake) {
    this.#parts = parts
    this.#channel = channel
    this.#intake = intake
    this.#lastCreatedAt = 0
  }

  async run(from: Bound): Promise<number> {
    const { memory, mark } = this.#parts
    const before = this.#intake.totals.accepted
    this.#lastCreatedAt = from.timestamp
    await mark.write(from)
    await this.#channel.send({ kind: 'bulk', from })
    for (;;) {
      const frame = await this.#channel.expect()
      if (frame.kind === 'delivered') break
      if (frame.kind !== 'records') throw unexpected(frame)
      await this.#take(frame.records)
    }
    await this.#intake.drain()
    memory.bulkDone = true
    await mark.write(null)
    return this.#intake.totals.accepted - before
  }

  async #take(records: readonly SignedRecord[]): Promise<void> {
    this.#checkOrder(records)
    this.#parts.progress.recordsIn += records.length
    await this.#intake.add(records, (results) => this.#note(records, results))
  }

  #checkOrder(records: readonly SignedRecord[]): void {
    for (const { payload } of records) {
      const head = payloadHead(payload)
      if (head === undefined) throw new SyncError('invalid_record', 'The peer sent bytes that are not a payload.')
      if (head.createdAt < this.#lastCreatedAt) {
        throw new SyncError('unasked_record', 'The peer streams records in another order than that of their time.')
      }
      this.#lastCreatedAt = head.createdAt
    }
  }

  async #note(records: readonly SignedRecord[], results: readonly IngestResult[]): Promise<void> {
    const { lease, peer, progress, memory } = this.#parts
    let bytes = 0
    for (const [at, { status }] of results.entries()) {
      if (status === 'duplicate') {
        this.#heldInARow += 1
        continue
      }
      this.#heldInARow = 0
      if (status === 'stored' || status === 'pending') bytes += records[at]?.payload.length ?? 0
    }
    lease.brought(peer, bytes)
    progress.accepted = this.#intake.totals.accepted
    progress.done = progress.recordsIn
    if (this.#heldInARow > MAX_HELD_IN_A_ROW) {
      memory.bulkDone = true
      this.#last = undefined
      await this.#parts.mark.write(null)
      throw new SyncError(
        'useless_bulk',
        'The peer streams records that are held already; they are reconciled instead.',
      )
    }
    this.#frames += 1
    this.#last = records.at(-1)
    if (this.#frames % FRAMES_PER_MARK === 0) await this.markLast()
  }

  /** Writes the mark. The last record itself will be sent again. */
  async markLast(): Promise<void> {
    if (this.#last === undefined) return
    const { payload } = this.#last
    this.#last = undefined
    const timestamp = payloadHead(payload)?.createdAt ?? 0
    await this.#parts.mark.write({ timestamp, id: recordDigest(payload, this.#parts.keccak256) })
  }
}
