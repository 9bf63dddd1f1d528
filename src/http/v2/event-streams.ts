import type { ServerResponse } from 'node:http'

import { yieldToEventLoop } from '../../platform/yield.ts'
import type { Environment } from '../../platform/environment.ts'
import type { Logger } from '../../observe/types.ts'
import type { Avatar } from '../../record/types.ts'
import type { ChangeEvent, StoreReader } from '../../store/types.ts'
import { Shares } from '../../shares/shares.ts'
import type { Hold, Refusal, Source } from '../../shares/types.ts'
import { formatCursor } from './cursor.ts'
import { waitForDrain } from '../answers/drain.ts'
import { framesOf, resetFrame } from './event-frames.ts'
import type { HttpLimits } from '../lib/limits.ts'

/** Where a stream begins: after a sequence of this store, with what comes next, or with a `reset`. */
export type StreamStart = number | 'now' | 'reset'

export interface EventStreams {
  /** Takes a place for a stream of this client; its connection ends if a client without any needs the place. */
  admit(source: Source, response: ServerResponse): Hold | Refusal
  /** Feeds a response whose head is written, until either side ends it. */
  open(response: ServerResponse, options: { place: Hold; avatar: Avatar | undefined; start: StreamStart }): void
  count(): number
  /** Ends all streams. */
  close(): void
}

/** Entries read from the feed at once, about 350 bytes each. */
const FEED_PAGE = 200
/** Events kept while the feed is read; more of them are read from it in turn. */
const MAX_HELD = 1000
/**
 * After a delivery that took a time, the next one waits three times as long, so that streams take a quarter of the time of
 * the node at most, however many there are; and no longer than this, in ms, so that events stay fresh.
 */
const MAX_PAUSE_MS = 250
const PAUSE_FACTOR = 3
/** Events that wait for the next delivery, about 500 bytes each; more of them are delivered at once. */
const MAX_WAITING = 2_000

interface Stream {
  readonly response: ServerResponse
  readonly place: Hold
  readonly avatar: Avatar | undefined
  /** Sequence of the last event sent. */
  after: number
  /** While the stream is fed from the store: what was committed meanwhile; null once that was too much. */
  held: ChangeEvent[] | null
  live: boolean
}

/**
 * Streams of changes.
 *
 * Guarantees: every event after the start reaches the reader once and in order, or a `reset` tells it to read again. A
 * stream subscribes first, then reads the stored feed, then goes on with what was committed meanwhile, so there is no
 * gap between the two; a reader slower than the node is fed from the store again, at its own pace, so that unsent bytes
 * stay bounded; and one that takes nothing for a time is cut, to come back with its last cursor.
 *
 * Cost: events are framed once for all streams of everything, and once for all streams of an avatar; other streams are not
 * looked at. What is committed while a delivery is paid for goes out with the next one.
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
  /** Streams by avatar; under undefined those of everything. */
  const streams = new Map<Avatar | undefined, Set<Stream>>()
  const places = new Shares(limits.streams)
  /** Committed and not delivered yet. */
  let waiting: ChangeEvent[] = []
  let cancelDelivery: (() => void) | undefined
  let isDelivering = false
  /** Sequence of the last event delivered. */
  let delivered = store.lastSequence()
  let closed = false

  const unsubscribe = store.onCommit((events) => {
    if (streams.size === 0 && waiting.length === 0) {
      delivered = Math.max(delivered, events.at(-1)?.sequence ?? 0)
      return
    }
    for (const event of events) waiting.push(event)
    if (waiting.length >= MAX_WAITING) sendWaiting()
    else if (!isDelivering) cancelDelivery ??= timers.after(0, () => void deliver())
  })

  /** Delivers what waits, then pauses; the writer that committed it is answered first. */
  async function deliver(): Promise<void> {
    cancelDelivery = undefined
    isDelivering = true
    const startMs = clock.now()
    try {
      sendWaiting()
      // Node hands the bytes to the kernel later in this turn of the event loop.
      await yieldToEventLoop()
    } finally {
      isDelivering = false
    }
    const pauseMs = Math.min(MAX_PAUSE_MS, Math.max(0, clock.now() - startMs) * PAUSE_FACTOR)
    if (!closed && (waiting.length > 0 || pauseMs > 0)) cancelDelivery ??= timers.after(pauseMs, () => void deliver())
  }

  function sendWaiting(): void {
    const events = waiting
    waiting = []
    if (events.length === 0) return
    delivered = Math.max(delivered, events.at(-1)?.sequence ?? 0)
    sendTo(streams.get(undefined), events)
    for (const [avatar, group] of groupByAvatar(events)) sendTo(streams.get(avatar), group)
  }

  function sendTo(concerned: ReadonlySet<Stream> | undefined, events: readonly ChangeEvent[]): void {
    let shared: Buffer | undefined
    for (const stream of concerned ?? []) {
      if (!stream.live) hold(stream, events)
      else if (stream.after < (events[0]?.sequence ?? 0)) {
        shared ??= framesOf(events, store.epoch)
        send(stream, events, shared)
      } else send(stream, events)
    }
  }

  /**
   * Sends what is new; once too much is unsent, leaves the rest to the stored feed.
   *
   * @param frames those of all events, if none of them was sent before
   */
  function send(stream: Stream, events: readonly ChangeEvent[], frames?: Buffer): void {
    // Evicted or left, and not forgotten yet.
    if (stream.response.destroyed) return
    if (stream.response.writableLength > limits.maxBufferedBytes) {
      void catchUp(stream)
      return
    }
    const news = frames === undefined ? events.filter(({ sequence }) => sequence > stream.after) : events
    if (news.length === 0) return
    stream.response.write(frames ?? framesOf(news, store.epoch))
    stream.after = news.at(-1)?.sequence ?? stream.after
  }

  function hold(stream: Stream, events: readonly ChangeEvent[]): void {
    if (stream.held === null) return
    if (stream.held.length + events.length > MAX_HELD) stream.held = null
    else stream.held.push(...events)
  }

  /** Feeds a stream from the store until it has all that there is, then makes it live. */
  async function catchUp(stream: Stream): Promise<void> {
    const { response, avatar } = stream
    stream.live = false
    try {
      while (isOpen(stream)) {
        if (!(await waitForDrain(response, timers, limits.drainTimeoutMs))) return cut(stream)
        stream.held = []
        const last = store.lastSequence()
        const page = await store.events({
          after: stream.after,
          limit: FEED_PAGE,
          ...(avatar === undefined ? {} : { avatar }),
        })
        if (!isOpen(stream)) return
        if (page === 'reset') sendReset(stream)
        else write(stream, page)
        const held: ChangeEvent[] | null = stream.held
        // A page that is not full may still not be the last: entries that no longer say anything are left out of it.
        if ((page === 'reset' || page.length === 0 || stream.after >= last) && held !== null) {
          stream.held = null
          stream.live = true
          send(stream, held)
          return
        }
      }
    } catch (error) {
      logger.error({ err: error }, 'event stream ended: the change feed could not be read')
      cut(stream)
    }
  }

  function write(stream: Stream, page: readonly ChangeEvent[]): void {
    const news = page.filter(({ sequence }) => sequence > stream.after)
    if (news.length === 0) return
    stream.response.write(framesOf(news, store.epoch))
    stream.after = news.at(-1)?.sequence ?? stream.after
  }

  const isOpen = (stream: Stream): boolean => streams.get(stream.avatar)?.has(stream) === true

  /** What the reader reads after this holds everything up to here, so the stream goes on from here. */
  function sendReset(stream: Stream): void {
    stream.after = store.lastSequence()
    stream.response.write(resetFrame(store.epoch, stream.after))
  }

  const all = (): Stream[] => [...streams.values()].flatMap((same) => [...same])

  function cut(stream: Stream): void {
    forget(stream)
    stream.response.destroy()
  }

  function forget(stream: Stream): void {
    const same = streams.get(stream.avatar)
    same?.delete(stream)
    if (same?.size === 0) streams.delete(stream.avatar)
    stream.place.release()
  }

  /**
   * Keeps proxies from closing a silent stream, and moves the reader's cursor past what did not concern it, so that it
   * does not grow too old.
   */
  function heartbeat(): void {
    for (const stream of all()) {
      if (!stream.live || stream.response.writableLength > limits.maxBufferedBytes) continue
      stream.after = Math.max(stream.after, delivered)
      stream.response.write(`:\nid: ${formatCursor(store.epoch, stream.after)}\n\n`)
    }
    cancelHeartbeat = timers.after(limits.heartbeatMs, heartbeat)
  }
  let cancelHeartbeat = timers.after(limits.heartbeatMs, heartbeat)

  return {
    admit: (source, response) => (closed ? 'full' : places.take(source, 1, () => response.destroy())),
    open(response, { place, avatar, start }) {
      const after = typeof start === 'number' ? start : store.lastSequence()
      const stream: Stream = { response, place, avatar, after, held: null, live: false }
      const same = streams.get(avatar)
      if (same === undefined) streams.set(avatar, new Set([stream]))
      else same.add(stream)
      response.once('close', () => forget(stream))
      if (start === 'reset') sendReset(stream)
      else response.write(`id: ${formatCursor(store.epoch, after)}\n\n`)
      void catchUp(stream)
    },
    count: () => all().length,
    close() {
      closed = true
      unsubscribe()
      cancelHeartbeat()
      cancelDelivery?.()
      sendWaiting()
      for (const stream of all()) {
        forget(stream)
        stream.response.end()
      }
    },
  }
}

function groupByAvatar(events: readonly ChangeEvent[]): Map<Avatar, ChangeEvent[]> {
  const groups = new Map<Avatar, ChangeEvent[]>()
  for (const event of events) {
    const group = groups.get(event.avatar)
    if (group === undefined) groups.set(event.avatar, [event])
    else group.push(event)
  }
  return groups
}
