/**
 * Follows the change feed of the database: tells listeners of every commit of any process, once and in order, and keeps
 * the totals current.
 *
 * The feed is read after the position that listeners know. `NOTIFY` only says when to look; a poll makes sure. Positions are
 * committed in order and without gaps (see `statements.ts`, `append`), so a position that was read is never filled later.
 */
import { messageOf } from '../../platform/errors.ts'
import type { Environment } from '../../platform/environment.ts'
import type { Logger } from '../../observe/types.ts'
import type { Avatar } from '../../record/types.ts'
import { toHex } from '../bytes.ts'
import { toEvents } from '../feed.ts'
import type { Listeners } from '../listeners.ts'
import { Mutex } from '../mutex.ts'
import type { AvatarSummary, ChangeEvent } from '../types.ts'
import type { Counts } from '../counts.ts'
import type { PostgresDatabase, Queries } from './database.ts'
import { summaryOf, type SummaryColumns } from './summary.ts'
import { avatarOf, bytea, idOf, kindOf } from './values.ts'

/** Pause between two looks at the feed without a hint. */
const POLL_MS = 250
/** Least pause between two hints of one process: 50 a second cost the server nothing, and readers wait 20 ms at most. */
const HINT_PAUSE_MS = 20
/** Pause before a broken connection for hints is opened again. */
const RECONNECT_MS = 1_000
/** Events that listeners get at once. */
const PAGE_EVENTS = 1_000
const CHANNEL = 'avatar_kv_feed'
const EPOCH_BYTES = 8

export interface StateRow {
  readonly network: string
  readonly epoch: string
  readonly archive: boolean
  readonly keeps_erased: boolean
  readonly last_sequence: number
  readonly feed_floor: number
  readonly avatars: number
  readonly records: number
  readonly bytes: number
  readonly kept_records: number
  readonly kept_bytes: number
}

export interface FeedTotals extends Counts {
  readonly avatars: number
}

interface FeedParts {
  readonly database: PostgresDatabase
  readonly environment: Environment
  readonly logger: Logger
  readonly listeners: Listeners
}

interface EntryColumns {
  readonly sequence: number
  readonly kind: number
  readonly avatar: Uint8Array
  readonly counter: number
  readonly id: Uint8Array
}

export class ChangeFeed {
  readonly #parts: FeedParts
  #state: StateRow
  /** Everything up to here was told to listeners. */
  #position: number
  readonly #reading = new Mutex()
  /** A read that has not begun. */
  #next: Promise<void> | undefined
  #cancelPoll: (() => void) | undefined
  #cancelHint: (() => void) | undefined
  #isHintDue = false
  #stopListening: (() => Promise<void>) | undefined
  #isStopped = false
  #isAway = false

  constructor(parts: FeedParts, state: StateRow) {
    this.#parts = parts
    this.#state = state
    this.#position = state.last_sequence
  }

  get epoch(): string {
    return this.#state.epoch
  }

  get position(): number {
    return this.#position
  }

  get floor(): number {
    return this.#state.feed_floor
  }

  /** As of `position`, or a little later. */
  get totals(): FeedTotals {
    const { avatars, records, bytes, kept_records, kept_bytes } = this.#state
    return { avatars, records, bytes, keptRecords: kept_records, keptBytes: kept_bytes }
  }

  start(): void {
    this.#poll()
    void this.#listen()
  }

  /** Tells listeners of everything that is committed now. @throws StoreError if the database does not answer */
  advance(): Promise<void> {
    // A read under way may have begun before the caller's commit, so all callers wait for the next one.
    this.#next ??= this.#reading.run(() => {
      this.#next = undefined
      return this.#read()
    })
    return this.#next
  }

  /** Tells other processes soon that there is something to read. Never within the transaction that writes: that would serialise commits. */
  hint(): void {
    this.#isHintDue = true
    if (this.#cancelHint !== undefined || this.#isStopped) return
    this.#sendHint()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#cancelPoll?.()
    this.#cancelHint?.()
    await this.#reading.run(() => Promise.resolve())
    await this.#stopListening?.()
  }

  #sendHint(): void {
    const { database, environment } = this.#parts
    this.#isHintDue = false
    this.#cancelHint = environment.timers.after(HINT_PAUSE_MS, () => {
      this.#cancelHint = undefined
      if (this.#isHintDue) this.#sendHint()
    })
    // A hint that is lost costs one poll.
    database.rows('hint').catch(() => undefined)
  }

  async #read(): Promise<void> {
    const { database, listeners } = this.#parts
    const [state] = await database.rows<StateRow>('state')
    if (state === undefined || this.#isStopped) return
    if (state.last_sequence < this.#position) return this.#goBack(state)
    while (this.#position < state.last_sequence) {
      const page = await readEntries(database, this.#position, PAGE_EVENTS)
      const upTo = page.filter(({ sequence }) => sequence <= state.last_sequence)
      const { events, summary } = await withSummaries(database, upTo)
      // Set first: a listener may look at the position.
      const last = page.length < PAGE_EVENTS ? undefined : page.at(-1)?.sequence
      this.#position = Math.min(last ?? state.last_sequence, state.last_sequence)
      this.#state = state
      if (events.length > 0) listeners.tell(events, summary)
    }
    this.#state = state
  }

  /** After a failover to a standby that lacked the last commits, or a restore: positions may be given a second time. */
  async #goBack(state: StateRow): Promise<void> {
    const { database, environment, logger } = this.#parts
    const epoch = toHex(environment.random.bytes(EPOCH_BYTES)).slice(2)
    await database.rows('newEpoch', [state.epoch, epoch, this.#position])
    const facts = { known: this.#position, found: state.last_sequence }
    logger.error(
      facts,
      'The database has gone back behind what this node has read: commits are lost. Cursors begin again.',
    )
    const [now = state] = await database.rows<StateRow>('state')
    this.#state = now
    this.#position = now.last_sequence
  }

  #poll(): void {
    if (this.#isStopped) return
    this.#cancelPoll = this.#parts.environment.timers.after(POLL_MS, () => {
      void this.#tryToAdvance().finally(() => this.#poll())
    })
  }

  async #tryToAdvance(): Promise<void> {
    try {
      await this.advance()
      if (this.#isAway) this.#parts.logger.info('the database answers again')
      this.#isAway = false
    } catch (error) {
      // Said once: the server may be away for hours.
      if (!this.#isAway && !this.#isStopped)
        this.#parts.logger.warn({ err: error }, 'the database does not answer; the node asks again until it does')
      this.#isAway = true
    }
  }

  /** Listens for hints, on a connection of its own. */
  async #listen(): Promise<void> {
    const { database, environment, logger } = this.#parts
    if (this.#isStopped) return
    let isEnded = false
    const again = (): void => {
      // A connection that breaks during LISTEN both ends and fails the statement.
      if (isEnded) return
      isEnded = true
      this.#stopListening = undefined
      if (!this.#isStopped) environment.timers.after(RECONNECT_MS, () => void this.#listen())
    }
    try {
      const client = await database.client()
      client.on('error', () => undefined)
      client.on('end', again)
      client.on('notification', () => void this.#tryToAdvance())
      this.#stopListening = () => client.end()
      if (this.#isStopped) await client.end()
      else await client.query(`LISTEN ${CHANNEL}`)
    } catch (error) {
      logger.debug({ reason: messageOf(error) }, 'no connection for hints; the feed is polled')
      again()
    }
  }
}

/** A page of the feed. */
export async function readEntries(
  queries: Queries,
  after: number,
  limit: number,
  avatar?: Avatar,
): Promise<Omit<ChangeEvent, 'head' | 'digest'>[]> {
  const rows =
    avatar === undefined
      ? await queries.rows<EntryColumns>('events', [after, limit])
      : await queries.rows<EntryColumns>('avatarEvents', [after, limit, bytea(avatar)])
  return rows.map((row) => ({
    sequence: row.sequence,
    kind: kindOf(row.kind),
    avatar: avatarOf(row.avatar),
    counter: row.counter,
    id: idOf(row.id),
  }))
}

/** Adds the current head and digest of the avatars to changes. Those of unknown avatars are left out. */
export async function withSummaries(
  queries: Queries,
  changes: readonly Omit<ChangeEvent, 'head' | 'digest'>[],
): Promise<{ events: ChangeEvent[]; summary: (avatar: Avatar) => AvatarSummary | undefined }> {
  const avatars = [...new Set(changes.map(({ avatar }) => avatar))]
  const known = new Map<Avatar, AvatarSummary>()
  if (avatars.length > 0) {
    for (const row of await queries.rows<SummaryColumns>('summaries', [avatars.map(bytea)])) {
      const summary = summaryOf(row)
      if (summary !== undefined) known.set(summary.avatar, summary)
    }
  }
  const summary = (avatar: Avatar): AvatarSummary | undefined => known.get(avatar)
  return { events: toEvents(changes, summary), summary }
}
