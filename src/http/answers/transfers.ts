/** Transfers of archives and backups, which last long and must end before the store is closed. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Writable } from 'node:stream'

import type { FastifyReply } from 'fastify'

import type { Environment, Timers } from '../../platform/environment.ts'
import type { Logger, Metrics } from '../../observe/types.ts'
import { HttpError, isConnectionError } from '../lib/errors.ts'
import type { HttpLimits } from '../lib/limits.ts'

/** Waiting time for a sender after which its rate is checked. */
const GRACE_MS = 60_000
/** A sender below this rate, in bytes a second, is cut off. */
const MIN_BYTES_PER_S = 1_024

/** Bytes written to a connection at a time. No more than this waits in memory for a stalled reader, even if chunks are larger. */
const SLICE_BYTES = 64 * 1024

export interface TransferParts {
  readonly environment: Pick<Environment, 'clock' | 'timers'>
  readonly metrics: Pick<Metrics, 'answerCut'>
  readonly logger: Logger
}

/** The head of a streamed answer, and its body. */
export interface Streamed {
  /** As `ServerResponse.writeHead` takes it. */
  readonly head: string[]
  readonly chunks: AsyncIterable<Uint8Array>
}

export interface Transfers {
  /**
   * Runs a transfer, so that `close` can end it and wait for it.
   *
   * @param cut ends the transfer at once
   * @throws HttpError `busy` after `close`
   */
  run<T>(cut: () => void, work: () => Promise<T>): Promise<T>
  /**
   * Sends what `begin` reads from a resource, and closes the resource.
   *
   * @throws what is thrown before the head is sent; a later error breaks the connection
   */
  send<R extends { close(): Promise<void> }>(
    reply: FastifyReply,
    open: () => Promise<R>,
    begin: (resource: R) => Streamed | Promise<Streamed>,
  ): Promise<FastifyReply>
  /** Ends all transfers; resolves once none of them reads the store any more. */
  close(): Promise<void>
}

export function createTransfers({ environment, metrics, logger }: TransferParts, limits: HttpLimits): Transfers {
  const running = new Set<{ readonly cut: () => void; readonly done: Promise<unknown> }>()
  let isClosed = false

  async function run<T>(cut: () => void, work: () => Promise<T>): Promise<T> {
    if (isClosed) {
      const message = 'The node is stopping. Try again later, or use another node.'
      throw new HttpError(503, 'busy', message, { retryS: 5 })
    }
    const done = work()
    const entry = { cut, done }
    running.add(entry)
    try {
      return await done
    } finally {
      running.delete(entry)
    }
  }

  return {
    run,
    async send(reply, open, begin) {
      const response = reply.raw
      const cut = () => void response.destroy()
      try {
        await run(cut, async () => {
          const resource = await open()
          try {
            const { head, chunks } = await begin(resource)
            reply.hijack()
            response.writeHead(200, head)
            await sendChunks(response, chunks, { environment, metrics }, limits)
          } finally {
            await resource.close()
          }
        })
      } catch (error) {
        if (!reply.sent) throw error
        if (!isConnectionError(error)) logger.error({ err: error }, 'the node broke off an answer after an error')
        // A regular end would make the client take the answer for complete.
        cut()
      }
      return reply
    },
    async close() {
      isClosed = true
      const all = [...running]
      for (const { cut } of all) cut()
      await Promise.allSettled(all.map(({ done }) => done))
    },
  }
}

/**
 * Sends chunks at the pace of the reader. If the reader stalls or takes too long, closes the connection and counts that.
 *
 * @param onTaken called with the number of bytes that the connection accepted
 * @returns whether everything was sent
 */
export async function sendChunks(
  response: ServerResponse,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { environment: { clock, timers }, metrics }: Omit<TransferParts, 'logger'>,
  limits: Pick<HttpLimits, 'drainTimeoutMs' | 'archiveTimeoutMs'>,
  onTaken: (bytes: number) => void = () => undefined,
): Promise<boolean> {
  const deadline = clock.now() + limits.archiveTimeoutMs
  for await (const chunk of chunks) {
    for (let from = 0; from < chunk.length; from += SLICE_BYTES) {
      if (response.destroyed) return false
      const slice = chunk.subarray(from, from + SLICE_BYTES)
      response.write(slice)
      const goesOn = await waitForDrain(response, timers, limits.drainTimeoutMs)
      const isLate = clock.now() > deadline
      if (!goesOn || isLate) {
        if (!response.destroyed) metrics.answerCut(isLate ? 'too_long' : 'stalled')
        response.destroy()
        return false
      }
      onTaken(slice.length)
    }
  }
  response.end()
  return true
}

/**
 * Yields the chunks of a request body. A slow consumer slows down the sender.
 *
 * @throws HttpError `timeout` if the sender is too slow or the transfer takes too long; the error of a broken connection
 */
export async function* receiveChunks(
  request: IncomingMessage,
  { clock }: Pick<Environment, 'clock'>,
  limits: Pick<HttpLimits, 'archiveTimeoutMs'>,
): AsyncGenerator<Uint8Array> {
  const deadline = clock.now() + limits.archiveTimeoutMs
  let waitedMs = 0
  let bytes = 0
  let asked = clock.now()
  // The connection is still needed for the answer.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
    const now = clock.now()
    waitedMs += now - asked
    bytes += chunk.length
    if (waitedMs > GRACE_MS && bytes < (waitedMs / 1000) * MIN_BYTES_PER_S) {
      const message = `The archive arrives with less than ${MIN_BYTES_PER_S} bytes a second. Send it again over a faster connection.`
      throw new HttpError(408, 'timeout', message)
    }
    if (now > deadline) {
      const hours = limits.archiveTimeoutMs / 3_600_000
      throw new HttpError(
        408,
        'timeout',
        `The archive took longer than ${hours} h. Send it again: this node already has the records that arrived.`,
      )
    }
    yield chunk
    asked = clock.now()
  }
}

/**
 * Waits until a stream accepts more data.
 *
 * @param timeoutMs longest wait for the reader
 * @returns false if the stream ended or did not drain in that time
 */
export function waitForDrain(stream: Writable, timers: Timers, timeoutMs: number): Promise<boolean> {
  if (stream.destroyed || stream.writableEnded) return Promise.resolve(false)
  if (!stream.writableNeedDrain) return Promise.resolve(true)
  return new Promise((resolve) => {
    const settle = (drained: boolean) => {
      cancel()
      stream.off('drain', onDrain).off('close', onClose)
      resolve(drained)
    }
    const onDrain = () => settle(true)
    const onClose = () => settle(false)
    const cancel = timers.after(timeoutMs, () => settle(false))
    stream.once('drain', onDrain).once('close', onClose)
  })
}
