import type { ServerResponse } from 'node:http'

import { yieldToEventLoop } from '../../platform/yield.ts'
import type { Environment } from '../../platform/environment.ts'
import type { Logger } from '../../observe/types.ts'
import type { ChangeEvent, StoreReader } from '../../store/types.ts'
import { Shares } from '../../shares/shares.ts'
import type { Hold } from '../../shares/types.ts'
import { waitForDrain } from '../answers/transfers.ts'
import type { HttpLimits } from '../lib/limits.ts'
import { type EventFilter, FilteredStreams } from './event-filter.ts'
import { cursorFrame, resetFrame, type EventBlock } from './event-frames.ts'
import type { EventStreams } from './event-stream-api.ts'
import { createOlderEvents } from './older-events.ts'
import { RecentEvents } from './recent-events.ts'
import { createTimeShare } from './time-share.ts'

/** Sending uses at most a quarter of the node's time, however many streams there are; a burst of events is sent at once. */
const SENDING = { share: 1 / 4, burstMs: 25 }
/** A read waits for the disk about half of its time, so this too is about a quarter of the main thread's. */
const READING = { share: 1 / 2, burstMs: 25 }
/** Time of sending after which other work of the node has its turn. */
const SLICE_MS = 2
/** Bytes that a stream is sent before the next stream has its turn; the last block may exceed it. */
const TURN_BYTES = 64 * 1024
/** Committed events that wait for a turn, about 300 bytes each; if there are more, they are serialised at once. */
const MAX_FRESH = 1_000

interface Stream {
  readonly response: ServerResponse
  readonly slot: Hold
  /** Undefined: all avatars. */
  readonly filter: EventFilter | undefined
  /** The reader was sent its events up to this sequence. A stream that is up to date is further: at the newest event. */
  after: number
  /** Its next events, if they had to be read from the store. */
  page: EventBlock | 'reset' | undefined
}

/**
 * Sends changes to event streams.
 *
 * Guarantees: every event after the start reaches the reader once and in order, or a `reset` tells it to read the state again.
 * Unsent bytes of a slow reader are bounded. The stream of a stalled reader is closed; it can resume with its last cursor.
 *
 * How: each stream is a position in the feed. Streams with something to send take turns. They share the recent events, which
 * are serialised once; a stream that is further behind reads pages of the store, one stream at a time. Sending and reading each
 * have a share of the time, so more streams make events arrive later, but do not slow down writes any further.
 */
export function createEventStreams(
  {
    store,
    environment: { timers, clock },
    logger,
  }: {
    readonly store: StoreReader
    readonly environment: Pick<Environment, 'clock' | 'timers'>
    readonly logger: Logger
  },
  limits: HttpLimits,
): EventStreams {
  const { epoch } = store
  const slots = new Shares(limits.streams)
  const recent = new RecentEvents(epoch, store.lastSequence(), limits.recentEventBytes)
  const older = createOlderEvents(store)
  const sending = createTimeShare({ clock, timers }, SENDING)
  const reading = createTimeShare({ clock, timers }, READING)
  const all = new Set<Stream>()
  const filtered = new FilteredStreams<Stream>()
  /** A stream is in one of these, or waits for its reader or for the store. */
  const upToDate = new Set<Stream>()
  const turns = new Set<Stream>()
  const reads = new Set<Stream>()
  /** Committed events that are not serialised yet. */
  let fresh: ChangeEvent[] = []
  let isSending = false
  let isReading = false
  let closed = false

  const unsubscribe = store.onCommit((events) => {
    if (all.size === 0) {
      fresh = []
      recent.skipTo(events.at(-1)?.sequence ?? 0)
      return
    }
    for (const event of events) fresh.push(event)
    if (fresh.length >= MAX_FRESH) serialise()
    if (!isSending) void send()
  })

  /** Serialises the fresh events and gives turns to the streams that they concern. */
  function serialise(): void {
    if (fresh.length === 0) return
    for (const stream of upToDate) if (stream.filter === undefined) wake(stream, recent.end)
    if (filtered.size > 0) {
      for (const { avatar, sequence } of fresh) {
        filtered.changed(avatar)
        for (const stream of filtered.of(avatar)) if (upToDate.has(stream)) wake(stream, sequence - 1)
      }
    }
    recent.add(fresh)
    fresh = []
  }

  /** @param after the stream has all of its events up to this sequence */
  function wake(stream: Stream, after: number): void {
    stream.after = Math.max(stream.after, after)
    upToDate.delete(stream)
    turns.add(stream)
  }

  /** Gives turns as long as there is something to send. It begins in a later task, so the writer gets its answer first. */
  async function send(): Promise<void> {
    isSending = true
    /** Whether streams have more to send than one turn allows. Else waiting makes the next writes fewer and larger. */
    let isBehind = false
    try {
      for (;;) {
        await yieldToEventLoop()
        await sending.ready(isBehind)
        if (closed) return
        const startMs = clock.now()
        isBehind = false
        serialise()
        for (const stream of turns) {
          turns.delete(stream)
          turn(stream)
          isBehind ||= turns.has(stream)
          if (clock.now() - startMs >= SLICE_MS) break
        }
        sending.spend(clock.now() - startMs)
        if (turns.size === 0 && fresh.length === 0) return
      }
    } finally {
      isSending = false
    }
  }

  /** Sends some events to a stream, and decides what it does next. */
  function turn(stream: Stream): void {
    const { response } = stream
    // The connection is closed, but its `close` event has not arrived yet.
    if (response.destroyed) return
    if (stream.filter?.isStale === true) return void relink(stream, stream.filter)
    if (response.writableNeedDrain && response.writableLength > limits.maxBufferedBytes) return void drain(stream)
    if (stream.page === 'reset') sendReset(stream)
    else writeNext(stream, stream.page)
    stream.page = undefined
    if (stream.after >= recent.end) upToDate.add(stream)
    else if (stream.after >= recent.start) turns.add(stream)
    else {
      reads.add(stream)
      if (!isReading) void read()
    }
    return undefined
  }

  function writeNext(stream: Stream, page: EventBlock | undefined): void {
    const { response, filter } = stream
    const { socket } = response
    let block = page ?? recent.blockAfter(stream.after)
    // Without this, each write would be several, or would be done in a task that is not counted.
    socket?.cork()
    for (let bytes = 0; block !== undefined && bytes < TURN_BYTES; block = recent.blockAfter(stream.after)) {
      const frames = filter === undefined ? block.after(stream.after) : block.of(filter.avatars, stream.after)
      if (frames.length > 0) response.write(frames)
      bytes += frames.length
      stream.after = block.end
    }
    socket?.uncork()
  }

  /** Waits until the reader has taken what was sent. */
  async function drain(stream: Stream): Promise<void> {
    if (await waitForDrain(stream.response, timers, limits.drainTimeoutMs)) giveTurn(stream)
    else cut(stream)
  }

  function giveTurn(stream: Stream): void {
    if (!all.has(stream)) return
    turns.add(stream)
    if (!isSending) void send()
  }

  /** Reads from the store for one stream after another. */
  async function read(): Promise<void> {
    isReading = true
    // The loop reaches streams that are added meanwhile.
    for (const stream of reads) {
      await reading.ready(true)
      if (!reads.delete(stream)) continue
      const startMs = clock.now()
      try {
        stream.page = await older.read(stream.after, recent.end, stream.filter?.avatars)
        giveTurn(stream)
      } catch (error) {
        fail(stream, error)
      }
      reading.spend(clock.now() - startMs)
    }
    isReading = false
  }

  /** Reads the links of a stream's avatar. Meanwhile the stream stays where it is, so it misses no event of a new link. */
  async function relink(stream: Stream, filter: EventFilter): Promise<void> {
    filter.isStale = false
    try {
      const links = await store.links(filter.avatar)
      if (!all.has(stream)) return
      filtered.relink(stream, links)
      // Its events were chosen by the links before.
      if (stream.page !== 'reset') stream.page = undefined
      giveTurn(stream)
    } catch (error) {
      fail(stream, error)
    }
  }

  /** A cursor of the future is of another process on the same database, or of a store that an older copy has replaced. */
  async function checkFuture(stream: Stream): Promise<void> {
    try {
      if (!(await store.hasReached(stream.after))) stream.page = 'reset'
      giveTurn(stream)
    } catch (error) {
      fail(stream, error)
    }
  }

  function fail(stream: Stream, error: unknown): void {
    logger.error({ err: error }, 'the node ended an event stream because it could not read the change feed')
    cut(stream)
  }

  /** Sends a `reset`. The state that the reader reads after it includes all events so far, so the stream continues here. */
  function sendReset(stream: Stream): void {
    serialise()
    stream.after = recent.end
    stream.response.write(resetFrame(epoch, stream.after))
  }

  function cut(stream: Stream): void {
    forget(stream)
    stream.response.destroy()
  }

  function forget(stream: Stream): void {
    for (const set of [all, upToDate, turns, reads]) set.delete(stream)
    filtered.delete(stream)
    stream.slot.release()
  }

  /**
   * Prevents proxies from closing a silent stream, and moves the reader's cursor past events of other avatars, so that the
   * cursor does not expire.
   */
  function heartbeat(): void {
    for (const { response, after } of upToDate) {
      if (response.writableLength > limits.maxBufferedBytes) continue
      response.write(`:\n${cursorFrame(epoch, Math.max(after, recent.end))}`)
    }
    cancelHeartbeat = timers.after(limits.heartbeatMs, heartbeat)
  }
  let cancelHeartbeat = timers.after(limits.heartbeatMs, heartbeat)

  return {
    admit: (source, response) => (closed ? 'full' : slots.take(source, 1, () => response.destroy())),
    open(response, { slot, filter, start }) {
      serialise()
      const after = typeof start === 'number' ? start : recent.end
      const stream: Stream = { response, slot, filter, after, page: undefined }
      all.add(stream)
      filtered.add(stream)
      response.once('close', () => forget(stream))
      if (start === 'reset') sendReset(stream)
      else response.write(cursorFrame(epoch, after))
      if (after <= recent.end) giveTurn(stream)
      else void checkFuture(stream)
    },
    dropEvents() {
      serialise()
      recent.skipTo(recent.end)
      older.clear()
      for (const stream of all) stream.page = undefined
    },
    count: () => all.size,
    close() {
      closed = true
      unsubscribe()
      cancelHeartbeat()
      serialise()
      for (const stream of [...turns]) turn(stream)
      for (const stream of all) {
        forget(stream)
        stream.response.end()
      }
    },
  }
}
