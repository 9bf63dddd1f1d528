/**
 * Limits the memory of answers that wait for their readers, in total and for each host. A reader that stalls or is too slow
 * loses its slot as soon as another request needs it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

import type { Environment } from '../../platform/environment.ts'
import type { Metrics } from '../../observe/types.ts'
import { Shares } from '../../shares/shares.ts'
import type { Hold, ShareLimits, Source } from '../../shares/types.ts'
import type { ClientAddresses } from '../../shares/client-address.ts'
import { HttpError } from '../lib/errors.ts'

/** Memory counted for a streamed answer. Measured with members of 245 KB: 4.3 MB of resident memory. */
const SLOT_BYTES = 4 * 1024 * 1024
/** The part of a share that streamed answers may use; the rest is for answers in one piece. */
const STREAMED_PART = 3 / 4
/** Age, in ms, from which a slow reader can lose its slot; its rate is measured over this time. */
const MEASURED_MS = 5_000
/** A reader below this rate, in bytes a second, is too slow while others wait: 0.5 Mbit/s. */
const MIN_BYTES_PER_S = 64 * 1024
/** How long a request waits for a slot; longer than `MEASURED_MS`, so that stalled readers lose theirs first. */
const WAIT_MS = 10_000
/** How often waiting requests are retried, since readers may have become too slow by then. */
const RETRY_MS = 500
/** Requests that may wait for a slot; further ones get 503 at once. */
const MAX_WAITING = 1024
/** Seconds after which a client may try again. */
const BUSY_RETRY_S = 5

/** Memory reserved for one streamed answer. */
export interface Slot {
  /** Reports that the connection accepted bytes. */
  delivered(bytes: number): void
  /** Enlarges the slot for a chunk if need be; false if there is no memory for it, or the slot was lost. */
  fits(bytes: number): boolean
  release(): void
}

export interface OutputBudget {
  /** Returns a slot, if one is free now. */
  tryTake(request: IncomingMessage): Slot | undefined
  /** Waits for a slot. @throws HttpError `busy` */
  take(request: IncomingMessage): Promise<Slot>
  /** Counts the unsent bytes of an answer that was written in one piece, until they are sent. */
  watch(request: IncomingMessage, response: ServerResponse): void
  /** Bytes in use. */
  bytes(): number
  /** Rejects the waiting requests. */
  close(): void
}

/** A streamed answer, and the rate of its reader. */
interface Streamed {
  readonly source: Source
  readonly socket: Socket
  /** Start of the measurement. */
  sinceMs: number
  /** Bytes delivered since then. */
  deliveredBytes: number
  /** When bytes were last delivered. */
  deliveredMs: number
}

interface WaitingRequest {
  readonly request: IncomingMessage
  readonly untilMs: number
  readonly settle: (slot: Slot | undefined) => void
}

export function createOutputBudget(
  components: {
    readonly environment: Pick<Environment, 'clock' | 'timers'>
    readonly metrics: Pick<Metrics, 'answerCut'>
    readonly clients: Pick<ClientAddresses, 'ofRequest'>
  },
  limits: ShareLimits,
): OutputBudget {
  const { environment, metrics, clients } = components
  const { clock, timers } = environment
  const shares = new Shares(limits)
  const streamed = new Set<Streamed>()
  /** Holds to release when a connection closes: Node emits `close` for the current answer but not for those queued behind it. */
  const bySocket = new WeakMap<Socket, Set<() => void>>()
  const waiting = new Set<WaitingRequest>()
  let cancelRetry: (() => void) | undefined

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

  /** Closes a connection and releases its memory at once. */
  function cut(socket: Socket): void {
    metrics.answerCut('made_room')
    socket.destroy()
    for (const end of bySocket.get(socket) ?? []) end()
  }

  /** The rate of a reader in bytes a second; undefined while the measurement is too short. */
  function rateOf({ deliveredMs, sinceMs, deliveredBytes }: Streamed): number | undefined {
    const now = clock.now()
    if (now - deliveredMs >= MEASURED_MS) return 0
    return now - sinceMs < MEASURED_MS ? undefined : (deliveredBytes / (now - sinceMs)) * 1000
  }

  /** Returns the slowest reader among those that are too slow, of one host or of all. */
  function slowest(key: string | undefined): Streamed | undefined {
    let found: Streamed | undefined
    let foundRate = MIN_BYTES_PER_S
    for (const each of streamed) {
      if (key !== undefined && each.source.key !== key) continue
      const rate = rateOf(each)
      if (rate === undefined || rate >= foundRate) continue
      found = each
      foundRate = rate
    }
    return found
  }

  /** Tries `take` and cuts off slow readers until it succeeds or none is left; returns false then. */
  function makingRoom<T extends Hold | undefined>(source: Source, take: () => T | 'full' | 'key_full'): T | false {
    for (;;) {
      const taken = take()
      if (taken !== 'full' && taken !== 'key_full') return taken
      const victim = slowest(taken === 'key_full' ? source.key : undefined)
      if (victim === undefined) return false
      cut(victim.socket)
    }
  }

  function tryTake(request: IncomingMessage): Slot | undefined {
    const source = clients.ofRequest(request)
    const { socket } = request
    const most = (source.isShared === true ? limits.total - limits.reserve : limits.perKey) * STREAMED_PART
    const hold = makingRoom(source, () =>
      shares.usedBy(source.key) + SLOT_BYTES > most ? 'key_full' : shares.take(source, SLOT_BYTES, () => cut(socket)),
    )
    return hold === false ? undefined : slotOf(source, socket, hold)
  }

  function slotOf(source: Source, socket: Socket, hold: Hold): Slot {
    const now = clock.now()
    const stream: Streamed = { source, socket, sinceMs: now, deliveredBytes: 0, deliveredMs: now }
    streamed.add(stream)
    const release = untilClosed(socket, () => {
      streamed.delete(stream)
      hold.release()
      grantSlots()
    })
    return {
      delivered(bytes) {
        hold.mark('busy')
        // After two windows, halve the measurement, so that a fast start does not hide a slow rest for long.
        if (clock.now() - stream.sinceMs >= 2 * MEASURED_MS) {
          stream.sinceMs = clock.now() - MEASURED_MS
          stream.deliveredBytes /= 2
        }
        stream.deliveredBytes += bytes
        stream.deliveredMs = clock.now()
      },
      fits(bytes) {
        if (bytes <= hold.units) return streamed.has(stream)
        return makingRoom(source, () => hold.grow(bytes - hold.units)) !== false && streamed.has(stream)
      },
      release,
    }
  }

  /** Gives free slots to waiting requests, in order of arrival; ends those whose time is over. */
  function grantSlots(): void {
    for (const entry of waiting) {
      const isGone = entry.request.socket.destroyed
      const slot = isGone ? undefined : tryTake(entry.request)
      if (slot === undefined && !isGone && clock.now() < entry.untilMs) continue
      // `tryTake` may cut a reader, whose release calls this function and settles the entry first.
      if (waiting.delete(entry)) entry.settle(slot)
      else slot?.release()
    }
  }

  function retry(): void {
    cancelRetry = undefined
    grantSlots()
    if (waiting.size > 0) cancelRetry ??= timers.after(RETRY_MS, retry)
  }

  return {
    tryTake,
    async take(request) {
      const slot =
        tryTake(request) ??
        (await new Promise<Slot | undefined>((settle) => {
          if (waiting.size >= MAX_WAITING) return settle(undefined)
          waiting.add({ request, untilMs: clock.now() + WAIT_MS, settle })
          cancelRetry ??= timers.after(RETRY_MS, retry)
          return undefined
        }))
      if (slot !== undefined) return slot
      const message =
        `The node already sends as many large answers as it can, and none ended within ${WAIT_MS / 1_000} s. ` +
        `Finish reading your other answers and try again in ${BUSY_RETRY_S} s.`
      throw new HttpError(503, 'busy', message, { retryS: BUSY_RETRY_S })
    },
    watch(request, response) {
      const bytes = response.writableLength
      const { socket } = request
      if (bytes === 0 || socket.destroyed) return
      const source = clients.ofRequest(request)
      const hold = makingRoom(source, () => shares.take(source, bytes, () => cut(socket)))
      // These bytes are already in memory: if no slower reader can be cut off, this one is.
      if (hold === false) return cut(socket)
      response.once(
        'finish',
        untilClosed(socket, () => hold.release()),
      )
      return undefined
    },
    bytes: () => shares.used,
    close() {
      for (const { settle } of waiting) settle(undefined)
      waiting.clear()
    },
  }
}
