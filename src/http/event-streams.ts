import type { ServerResponse } from 'node:http'

import type { Timers } from '../environment.ts'
import type { Logger } from '../observe/types.ts'
import type { Avatar } from '../record/types.ts'
import type { ChangeEvent, StoreReader } from '../store/types.ts'
import { Shares } from '../shares/shares.ts'
import type { Hold, Refusal, Source } from '../shares/types.ts'
import { formatCursor } from './cursor.ts'
import { waitForDrain } from './drain.ts'
import { frameOf, resetFrame } from './event-frames.ts'
import type { HttpLimits } from './limits.ts'

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
 * Guarantees: every event after the start reaches the reader once and in order, or a `reset` tells it to read anew. A
 * stream subscribes first, then reads the stored feed, then goes on with what was committed meanwhile, so there is no
 * gap between the two; a reader slower than the node is fed from the store again, at its own pace, so that unsent bytes
 * stay bounded; and one that takes nothing for a time is cut, to come back with its last cursor.
 */
export function createEventStreams(
  { store, timers, logger }: { readonly store: StoreReader; readonly timers: Timers; readonly logger: Logger },
  limits: HttpLimits,
): EventStreams {
  const streams = new Set<Stream>()
  const places = new Shares(limits.streams)
  /** Sequence of the last event announced by the store. */
  let announced = store.lastSequence()
  let closed = false

  const unsubscribe = store.onCommit((events) => {
    announced = Math.max(announced, events.at(-1)?.sequence ?? 0)
    if (streams.size === 0) return
    const byAvatar = groupByAvatar(events)
    for (const stream of streams) {
      const concerning = stream.avatar === undefined ? events : byAvatar.get(stream.avatar)
      if (concerning === undefined) continue
      if (stream.live) deliver(stream, concerning)
      else hold(stream, concerning)
    }
  })

  /** Sends what is new; once too much is unsent, leaves the rest to the stored feed. */
  function deliver(stream: Stream, events: readonly ChangeEvent[]): void {
    for (const event of events) {
      if (event.sequence <= stream.after) continue
      if (stream.response.writableLength > limits.maxBufferedBytes) {
        void catchUp(stream)
        return
      }
      stream.response.write(frameOf(event, store.epoch))
      stream.after = event.sequence
    }
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
      while (streams.has(stream)) {
        if (!(await waitForDrain(response, timers, limits.drainTimeoutMs))) return cut(stream)
        stream.held = []
        const last = store.lastSequence()
        const page = await store.events({
          after: stream.after,
          limit: FEED_PAGE,
          ...(avatar === undefined ? {} : { avatar }),
        })
        if (!streams.has(stream)) return
        if (page === 'reset') sendReset(stream)
        else for (const event of page) send(stream, event)
        const held: ChangeEvent[] | null = stream.held
        // A page that is not full may still not be the last: entries that no longer say anything are left out of it.
        if ((page === 'reset' || page.length === 0 || stream.after >= last) && held !== null) {
          stream.held = null
          stream.live = true
          deliver(stream, held)
          return
        }
      }
    } catch (error) {
      logger.error({ err: error }, 'event stream ended: the change feed could not be read')
      cut(stream)
    }
  }

  function send(stream: Stream, event: ChangeEvent): void {
    if (event.sequence <= stream.after) return
    stream.response.write(frameOf(event, store.epoch))
    stream.after = event.sequence
  }

  /** What the reader reads after this holds everything up to here, so the stream goes on from here. */
  function sendReset(stream: Stream): void {
    stream.after = store.lastSequence()
    stream.response.write(resetFrame(store.epoch, stream.after))
  }

  function cut(stream: Stream): void {
    forget(stream)
    stream.response.destroy()
  }

  function forget(stream: Stream): void {
    streams.delete(stream)
    stream.place.release()
  }

  /**
   * Keeps proxies from closing a silent stream, and moves the reader's cursor past what did not concern it, so that it
   * does not grow too old.
   */
  function heartbeat(): void {
    for (const stream of streams) {
      if (!stream.live || stream.response.writableLength > limits.maxBufferedBytes) continue
      stream.after = Math.max(stream.after, announced)
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
      streams.add(stream)
      response.once('close', () => forget(stream))
      if (start === 'reset') sendReset(stream)
      else response.write(`id: ${formatCursor(store.epoch, after)}\n\n`)
      void catchUp(stream)
    },
    count: () => streams.size,
    close() {
      closed = true
      unsubscribe()
      cancelHeartbeat()
      for (const stream of streams) {
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
