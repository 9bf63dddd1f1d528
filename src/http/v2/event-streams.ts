import type { ServerResponse } from 'node:http'

import { yieldToEventLoop } from '../../platform/yield.ts'
import type { Environment } from '../../platform/environment.ts'
import type { Logger } from '../../observe/types.ts'
import type { Avatar } from '../../record/types.ts'
import type { ChangeEvent, StoreReader } from '../../store/types.ts'
import { Shares } from '../../shares/shares.ts'
import type { Hold, Refusal, Source } from '../../shares/types.ts'
import { waitForDrain } from '../answers/transfers.ts'
import type { HttpLimits } from '../lib/limits.ts'
import { formatCursor } from './cursor.ts'

/** Where a stream begins: after a sequence of this store, at the next event, or with a `reset`. */
export type StreamStart = number | 'now' | 'reset'

export interface EventStreams {
  /** Takes a slot for a stream. Its connection is closed if a client without a stream needs the slot. */
  admit(source: Source, response: ServerResponse): Hold | Refusal
  /** Sends events to a response whose head is written, until either side ends it. */
  open(response: ServerResponse, options: { slot: Hold; avatar: Avatar | undefined; start: StreamStart }): void
  count(): number
  /** Ends all streams. */
  close(): void
}

/** Entries read from the change feed at a time, about 350 bytes each. */
const FEED_PAGE = 200
/** Events buffered while the change feed is read; if there are more, they are read from the feed too. */
const MAX_HELD = 1000
/**
 * After each delivery the next one waits three times as long as the delivery took, so that any number of streams uses at most
 * a quarter of the node's time; but at most this long, so that events stay fresh.
 */
const MAX_PAUSE_MS = 250
const PAUSE_FACTOR = 3
/** Events that wait for the next delivery, about 500 bytes each; if there are more, they are delivered at once. */
const MAX_WAITING = 2_000

interface Stream {
  readonly response: ServerResponse
  readonly slot: Hold
  readonly avatar: Avatar | undefined
  /** Sequence of the last event sent. */
  after: number
  /** Events committed while the stream reads from the store; null if there were too many. */
  held: ChangeEvent[] | null
  live: boolean
}

/**
 * Sends changes to event streams.
 *
 * Guarantees: every event after the start reaches the reader once and in order, or a `reset` tells it to read the state again.
 * A stream subscribes first, then reads the stored feed, then continues with the events committed meanwhile, so there is no
 * gap. A slow reader gets its events from the store, at its own pace, so that unsent bytes stay bounded. The stream of a
 * stalled reader is closed; the reader can resume with its last cursor.
 *
 * Cost: events are serialised once for all streams without a filter, and once for all streams of an avatar. Streams of other
 * avatars cost nothing. Events that are committed during the pause after a delivery are sent with the next one.
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
  /** Streams by avatar; streams without a filter are under undefined. */
  const streams = new Map<Avatar | undefined, Set<Stream>>()
  const slots = new Shares(limits.streams)
  /** Committed events that are not delivered yet. */
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

  /** Delivers the waiting events, then pauses. It runs in a later task, so the writer gets its answer first. */
  async function deliver(): Promise<void> {
    cancelDelivery = undefined
    isDelivering = true
    const startMs = clock.now()
    try {
      sendWaiting()
      // Node passes the bytes to the kernel later in this turn of the event loop; the measured time includes that.
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
   * Sends the new ones among the events; with too many unsent bytes, switches the stream to the stored feed instead.
   *
   * @param frames the serialised events, if none of them was sent before
   */
  function send(stream: Stream, events: readonly ChangeEvent[], frames?: Buffer): void {
    // The connection is closed, but its `close` event has not arrived yet.
    if (stream.response.destroyed) return
    if (stream.response.writableLength > limits.maxBufferedBytes) void catchUp(stream)
    else write(stream, events, frames)
  }

  function write(stream: Stream, events: readonly ChangeEvent[], frames?: Buffer): void {
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

  /** Sends events from the store until the stream has caught up, then makes it live. */
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
        // A page with fewer entries than asked for may not be the last one: the store leaves out obsolete entries.
        if ((page === 'reset' || page.length === 0 || stream.after >= last) && held !== null) {
          stream.held = null
          stream.live = true
          send(stream, held)
          return
        }
      }
    } catch (error) {
      logger.error({ err: error }, 'the node ended an event stream because it could not read the change feed')
      cut(stream)
    }
  }

  const isOpen = (stream: Stream): boolean => streams.get(stream.avatar)?.has(stream) === true

  /** Sends a `reset`. The state that the reader reads after it includes all events so far, so the stream continues here. */
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
    stream.slot.release()
  }

  /**
   * Prevents proxies from closing a silent stream, and moves the reader's cursor past events of other avatars, so that the
   * cursor does not expire.
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
    admit: (source, response) => (closed ? 'full' : slots.take(source, 1, () => response.destroy())),
    open(response, { slot, avatar, start }) {
      const after = typeof start === 'number' ? start : store.lastSequence()
      const stream: Stream = { response, slot, avatar, after, held: null, live: false }
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

/** Returns events as server-sent events (WHATWG HTML, "Interpreting an event stream"); streams can share the bytes. */
function framesOf(events: readonly ChangeEvent[], epoch: string): Buffer {
  return Buffer.from(events.map((event) => frameOf(event, epoch)).join(''))
}

function frameOf({ sequence, kind, avatar, id, counter, head, digest }: ChangeEvent, epoch: string): string {
  const data = JSON.stringify({ avatar, id, counter, head, digest })
  return `id: ${formatCursor(epoch, sequence)}\nevent: ${kind}\ndata: ${data}\n\n`
}

/** Tells a reader that it missed events: it must read the state again; the stream continues after the cursor. */
function resetFrame(epoch: string, sequence: number): string {
  const cursor = formatCursor(epoch, sequence)
  return `id: ${cursor}\nevent: reset\ndata: ${JSON.stringify({ cursor })}\n\n`
}
