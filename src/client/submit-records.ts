/** Gives signed records to one node, in requests that it takes. */
import { utf8Length } from '../record/order.ts'
import type { RecordId, VerifiedRecord } from '../record/types.ts'
import type { SubmitAnswer } from './answers.ts'
import { pause } from './deadline.ts'
import { nextBatch, sendBatch } from './delivery.ts'
import { ClientError } from './errors.ts'
import { MAX_BUSY_TRIES, MAX_BUSY_WAIT_S, MAX_SENDING_ROUNDS, NEAR_RECORDS, SUBMIT_RECORDS } from './limits.ts'
import type { LocalAvatar } from './local-avatar.ts'
import type { NodeApi } from './node-api.ts'
import { recordText } from './sign-patch.ts'
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

const bytesOf = (text: RecordText): number => utf8Length(JSON.stringify(text))

/** Sends a node what it says is missing of an avatar, as far as it is known here; true where then nothing is missing. */
export async function sendMissing(api: NodeApi, local: LocalAvatar, signal: AbortSignal | undefined): Promise<boolean> {
  const sent = new Set<RecordId>()
  for (let round = 0; round < MAX_SENDING_ROUNDS; round++) {
    const document = await api.document(local.avatar, signal)
    if (document === undefined) return false
    if (document.missing.total === 0) return true
    // Mostly a node lacks only the last few; one that lacks more may have nothing.
    const most = round === 0 ? NEAR_RECORDS : Infinity
    const records = ancestors(local, document.missing.ids, most).filter(({ id }) => !sent.has(id))
    if (records.length === 0) return false
    for (const { id } of records) sent.add(id)
    await submitAll(api, records.map(recordText), { signal })
  }
  return false
}

/** Records, and what they cite, down to the base and its parts: at most the nearest `most`, by ascending counter. */
function ancestors(local: LocalAvatar, ids: readonly RecordId[], most: number): VerifiedRecord[] {
  const found = new Map<RecordId, VerifiedRecord>()
  const todo = [...ids, ...(local.base === null ? [] : [local.base.id])]
  for (const id of todo) {
    const record = local.get(id)
    if (record === undefined || found.has(id)) continue
    if (found.size >= most) break
    found.set(id, record)
    const { body } = record
    if (body.type !== 'part') todo.push(...body.prev.map((each) => each.id))
    if (body.type === 'snapshot') todo.push(...body.parts)
  }
  return [...found.values()].sort((a, b) => a.body.counter - b.body.counter)
}
