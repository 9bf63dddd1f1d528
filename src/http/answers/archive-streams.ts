import type { IncomingMessage, ServerResponse } from 'node:http'

import type { Environment } from '../../platform/environment.ts'
import type { Metrics } from '../../observe/types.ts'
import { waitForDrain } from './drain.ts'
import { HttpError } from '../lib/errors.ts'
import type { HttpLimits } from '../lib/limits.ts'

type World = Pick<Environment, 'clock' | 'timers'>

/** From here on the pace of a sender counts, in ms of waiting for it. */
const PATIENCE_MS = 60_000
/** Bytes a second below which a sender takes a place from others for nothing. */
const MIN_BYTES_PER_S = 1_024

/** Bytes given to a connection at once: what waits for a reader that takes nothing, however large a chunk is. */
const SLICE_BYTES = 64 * 1024

/**
 * Sends chunks as fast as the other side takes them. Where that side stalls or takes too long, its connection is closed
 * and counted.
 *
 * @param onTaken told of the bytes that the other side has taken
 * @returns whether all was sent
 */
export async function sendChunks(
  response: ServerResponse,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { clock, timers, metrics }: World & { readonly metrics: Pick<Metrics, 'answerCut'> },
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
 * The chunks of a request's body, as fast as they are asked for; whoever asks slowly holds the sender up.
 *
 * @throws HttpError `timeout` where the sender is too slow, or the whole takes too long; the error of a broken connection
 */
export async function* receiveChunks(
  request: IncomingMessage,
  { clock }: World,
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
    if (waitedMs > PATIENCE_MS && bytes < (waitedMs / 1000) * MIN_BYTES_PER_S) {
      throw new HttpError(408, 'timeout', `An archive must come with at least ${MIN_BYTES_PER_S} bytes a second.`)
    }
    if (now > deadline) {
      const hours = limits.archiveTimeoutMs / 3_600_000
      throw new HttpError(
        408,
        'timeout',
        `An archive may take ${hours} h; send the rest again: what is there already is known.`,
      )
    }
    yield chunk
    asked = clock.now()
  }
}
