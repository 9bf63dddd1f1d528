import type { IncomingMessage, ServerResponse } from 'node:http'

import type { Environment } from '../../platform/environment.ts'
import type { Metrics } from '../../observe/types.ts'
import { waitForDrain } from './drain.ts'
import { HttpError } from '../lib/errors.ts'
import type { HttpLimits } from '../lib/limits.ts'

type ClockAndTimers = Pick<Environment, 'clock' | 'timers'>

/** Waiting time for a sender after which its rate is checked. */
const GRACE_MS = 60_000
/** A sender below this rate, in bytes a second, is cut off. */
const MIN_BYTES_PER_S = 1_024

/** Bytes written to a connection at a time. No more than this waits in memory for a stalled reader, even if chunks are larger. */
const SLICE_BYTES = 64 * 1024

/**
 * Sends chunks at the pace of the reader. If the reader stalls or takes too long, closes the connection and counts that.
 *
 * @param onTaken called with the number of bytes that the connection accepted
 * @returns whether everything was sent
 */
export async function sendChunks(
  response: ServerResponse,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { clock, timers, metrics }: ClockAndTimers & { readonly metrics: Pick<Metrics, 'answerCut'> },
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
  { clock }: ClockAndTimers,
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
