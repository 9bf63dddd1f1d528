/**
 * Answers that wait for their readers: how many bytes of them the node holds, in all and for one host. A reader that takes
 * nothing, or too little, loses its place as soon as another request needs it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

import type { Clock, Timers } from '../../platform/environment.ts'
import type { Metrics } from '../../observe/types.ts'
import { Shares } from '../../shares/shares.ts'
import type { Hold, ShareLimits, Source } from '../../shares/types.ts'
import type { ClientAddresses } from '../lib/client-address.ts'
import { HttpError } from '../lib/errors.ts'

/** Memory that a streamed answer takes, in bytes. Measured with members of 245 KB: 4.3 MB of resident memory. */
const PLACE_BYTES = 4 * 1024 * 1024
/** The part of a share that streamed answers may take: the rest is for answers in one piece. */
const STREAMED_PART = 3 / 4
/** From this age on a reader that is too slow can lose its place to another, in ms. */
const MEASURED_MS = 5_000
/** The pace below which a reader is too slow while others wait, in bytes a second: 0.5 Mbit/s. */
const MIN_BYTES_PER_S = 64 * 1024
/** How long a request waits for a place, in ms; longer than `MEASURED_MS`, so that stalled readers make room first. */
const WAIT_MS = 10_000
/** How often waiting requests look for readers that have become too slow, in ms. */
const LOOK_MS = 500
/** Requests that wait for a place; further ones get 503 at once. */
const MAX_WAITING = 1024
/** When a client may try again, in seconds. */
const BUSY_RETRY_S = '5'

/** The place of one streamed answer. */
export interface Place {
  /** The reader took bytes. */
  took(bytes: number): void
  /** Takes room for a chunk that is larger than a place has; false where there is none. */
  fits(bytes: number): boolean
  leave(): void
}

export interface OutputBudget {
  /** A place, if there is one now. */
  tryTake(request: IncomingMessage): Place | undefined
  /** Waits for a place. @throws HttpError `busy` */
  take(request: IncomingMessage): Promise<Place>
  /** Counts what is left of an answer that was written in one piece, until its reader has taken it. */
  watch(request: IncomingMessage, response: ServerResponse): void
  /** Bytes held now. */
  bytes(): number
  /** Sends away what waits for a place. */
  close(): void
}

/** A streamed answer, and its pace. */
interface Streamed {
  readonly source: Source
  readonly socket: Socket
  /** Start of the time in which the pace is measured, in ms. */
  sinceMs: number
  /** What the reader has taken in that time, in bytes, and when it took something last, in ms. */
  taken: number
  tookMs: number
}

interface Waiter {
  readonly request: IncomingMessage
  readonly untilMs: number
  readonly settle: (place: Place | undefined) => void
}

export function createOutputBudget(
  components: {
    readonly clock: Clock
    readonly timers: Timers
    readonly metrics: Pick<Metrics, 'answerCut'>
    readonly clients: Pick<ClientAddresses, 'ofRequest'>
  },
  limits: ShareLimits,
): OutputBudget {
  const { clock, timers, metrics, clients } = components
  const shares = new Shares(limits)
  const streamed = new Set<Streamed>()
  /** What is to be given back when a connection closes: Node tells it of the answer being sent, not of those behind it. */
  const bySocket = new WeakMap<Socket, Set<() => void>>()
  const waiting = new Set<Waiter>()
  let stopLooking: (() => void) | undefined

  /** Calls `end` once: when the returned function is called, or when the connection closes. */
  function untilClosed(socket: Socket, end: () => void): () => void {
    let ends = bySocket.get(socket)
    if (ends === undefined) {
      ends = new Set()
      bySocket.set(socket, ends)
      socket.once('close', () => {
        for (const each of bySocket.get(socket) ?? []) each()
      })
    }
    const once = () => {
      if (bySocket.get(socket)?.delete(once) === true) end()
    }
    ends.add(once)
    return once
  }

  /** Closes a connection, whose room is free at once. */
  function cut(socket: Socket): void {
    metrics.answerCut('made_room')
    socket.destroy()
    for (const end of bySocket.get(socket) ?? []) end()
  }

  /** Bytes a second that a reader takes; undefined while it is too young to say. */
  function paceOf({ tookMs, sinceMs, taken }: Streamed): number | undefined {
    const now = clock.now()
    if (now - tookMs >= MEASURED_MS) return 0
    return now - sinceMs < MEASURED_MS ? undefined : (taken / (now - sinceMs)) * 1000
  }

  /** The slowest of the readers that are too slow, of one host or of all. */
  function slowest(key: string | undefined): Streamed | undefined {
    let found: Streamed | undefined
    let foundPace = MIN_BYTES_PER_S
    for (const each of streamed) {
      if (key !== undefined && each.source.key !== key) continue
      const pace = paceOf(each)
      if (pace === undefined || pace >= foundPace) continue
      found = each
      foundPace = pace
    }
    return found
  }

  /** Tries `take` until it is not refused, or nobody is left who must make room. */
  function makingRoom<T extends Hold | undefined>(source: Source, take: () => T | 'full' | 'key_full'): T | false {
    for (;;) {
      const taken = take()
      if (taken !== 'full' && taken !== 'key_full') return taken
      const victim = slowest(taken === 'key_full' ? source.key : undefined)
      if (victim === undefined) return false
      cut(victim.socket)
    }
  }

  function tryTake(request: IncomingMessage): Place | undefined {
    const source = clients.ofRequest(request)
    const { socket } = request
    const most = (source.isShared === true ? limits.total - limits.reserve : limits.perKey) * STREAMED_PART
    const hold = makingRoom(source, () =>
      shares.usedBy(source.key) + PLACE_BYTES > most ? 'key_full' : shares.take(source, PLACE_BYTES, () => cut(socket)),
    )
    return hold === false ? undefined : placeOf(source, socket, hold)
  }

  function placeOf(source: Source, socket: Socket, hold: Hold): Place {
    const now = clock.now()
    const stream: Streamed = { source, socket, sinceMs: now, taken: 0, tookMs: now }
    streamed.add(stream)
    const leave = untilClosed(socket, () => {
      streamed.delete(stream)
      hold.release()
      serve()
    })
    return {
      took(bytes) {
        hold.mark('busy')
        // Two windows of measurement, so that a fast start does not excuse a slow rest for long.
        if (clock.now() - stream.sinceMs >= 2 * MEASURED_MS) {
          stream.sinceMs = clock.now() - MEASURED_MS
          stream.taken /= 2
        }
        stream.taken += bytes
        stream.tookMs = clock.now()
      },
      fits(bytes) {
        if (bytes <= hold.units) return streamed.has(stream)
        return makingRoom(source, () => hold.grow(bytes - hold.units)) !== false && streamed.has(stream)
      },
      leave,
    }
  }

  /** Gives free places to those that wait, in the order in which they came. */
  function serve(): void {
    for (const waiter of waiting) {
      const isGone = waiter.request.socket.destroyed
      const place = isGone ? undefined : tryTake(waiter.request)
      if (place === undefined && !isGone && clock.now() < waiter.untilMs) continue
      // A reader that was cut for this place may have served the waiter meanwhile.
      if (waiting.delete(waiter)) waiter.settle(place)
      else place?.leave()
    }
  }

  function look(): void {
    stopLooking = undefined
    serve()
    if (waiting.size > 0) stopLooking ??= timers.after(LOOK_MS, look)
  }

  return {
    tryTake,
    async take(request) {
      const place =
        tryTake(request) ??
        (await new Promise<Place | undefined>((settle) => {
          if (waiting.size >= MAX_WAITING) return settle(undefined)
          waiting.add({ request, untilMs: clock.now() + WAIT_MS, settle })
          stopLooking ??= timers.after(LOOK_MS, look)
          return undefined
        }))
      if (place === undefined) throw busy()
      return place
    },
    watch(request, response) {
      const bytes = response.writableLength
      const { socket } = request
      if (bytes === 0 || socket.destroyed) return
      const source = clients.ofRequest(request)
      const hold = makingRoom(source, () => shares.take(source, bytes, () => cut(socket)))
      // These bytes are there already: if nobody else must make room, this reader must.
      if (hold === false) return cut(socket)
      response.once(
        'finish',
        untilClosed(socket, () => hold.release()),
      )
      return undefined
    },
    bytes: () => shares.used,
    close() {
      for (const waiter of waiting) waiter.settle(undefined)
      waiting.clear()
    },
  }
}

function busy(): HttpError {
  const message =
    'The node is sending as many large answers as it can, and your request waited too long for its turn. ' +
    `Read the answers that you have asked for, and try again in ${BUSY_RETRY_S} s.`
  return new HttpError(503, 'busy', message, { 'retry-after': BUSY_RETRY_S })
}
