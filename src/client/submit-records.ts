/** Gives signed records to one node, in requests that it takes. */
import type { SubmitAnswer } from './answers.ts'
import { pause } from './deadline.ts'
import { nextBatch, sendBatch } from './delivery.ts'
import { ClientError } from './errors.ts'
import { MAX_BUSY_TRIES, MAX_BUSY_WAIT_S, SUBMIT_RECORDS } from './limits.ts'
import type { NodeApi } from './node-api.ts'
import type { RecordText } from './types.ts'

export interface SubmitOptions {
  readonly signal?: AbortSignal | undefined
  /** What became of the records, filled as answers come: after a failure, of those that were sent before it. */
  readonly results?: SubmitAnswer[]
  /** Whether to wait for a busy node, as long as it asks, instead of failing. Default false. */
  readonly waits?: boolean
  /** Called before each request but the first with the number of records sent so far. */
  readonly onSent?: (sent: number) => void
}

/**
 * Sends records in their order.
 *
 * @returns one answer for each record, in order
 * @throws ClientError; records that were acknowledged before stay at the node
 */
export async function submitAll(
  api: NodeApi,
  texts: readonly RecordText[],
  { signal, results = [], waits = false, onSent }: SubmitOptions = {},
): Promise<SubmitAnswer[]> {
  const mostTries = waits ? MAX_BUSY_TRIES : 1
  const submit = (batch: readonly RecordText[]) => submitBatch(api, batch, signal, mostTries)
  for (let at = 0; at < texts.length;) {
    if (at > 0) onSent?.(at)
    const batch = nextBatch(texts.slice(at, at + SUBMIT_RECORDS), bytesOf)
    await sendBatch({ submit }, batch, { answers: results })
    at += batch.length
  }
  return results
}

async function submitBatch(
  api: NodeApi,
  batch: readonly RecordText[],
  signal: AbortSignal | undefined,
  mostTries: number,
): Promise<SubmitAnswer[]> {
  for (let tries = 1; ; tries++) {
    try {
      return await api.submit(batch, signal)
    } catch (error) {
      if (!(error instanceof ClientError) || error.status !== 503 || tries >= mostTries) throw error
      await pause(Math.min(error.retryAfterSeconds ?? 1, MAX_BUSY_WAIT_S) * 1000, [signal])
    }
  }
}

const encoder = new TextEncoder()

function bytesOf(text: RecordText): number {
  return encoder.encode(JSON.stringify(text)).length
}
