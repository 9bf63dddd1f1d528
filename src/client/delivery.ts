/**
 * The rules by which signed records that wait are sent to a node, and leave the queue or stay in it. The replica and the explorer
 * share them; where the records are stored, and what becomes of a record that a node refuses, is theirs to decide.
 *
 * - A request has as many records as nodes take, in the order in which the records cite each other.
 * - If a request is refused as a whole, its records are sent again in smaller requests. One record that is too large for a proxy
 *   does not hold up the others.
 * - A record leaves the queue if the node has it and everything that it cites. A node may store a record and refuse a record that
 *   the first one cites: then the stored record has no effect there, and both stay in the queue.
 */
import type { Citation } from '../record/types.ts'
import type { SubmitAnswer } from './answers.ts'
import { ClientError } from './errors.ts'
import { SUBMIT_BYTES, SUBMIT_RECORDS } from './limits.ts'
import type { NodeApi } from './node-api.ts'
import type { RecordText } from './types.ts'

/** A signed record that waits. */
export interface OutgoingRecord {
  readonly id: string
  readonly prev: readonly Citation[]
}

/** `taken`: leaves the queue. `waits`: is sent again later. `refused`: the node will refuse it again. */
export type Fate = 'taken' | 'waits' | 'refused'

/** Statuses of records that a node has stored. */
export const STORED_STATUSES: ReadonlySet<string> = new Set(['stored', 'pending', 'duplicate'])

/** HTTP statuses by which a node or a proxy refuses what is in a request, and not only for now. */
const CONTENT_REFUSED: readonly (number | undefined)[] = [400, 413, 422]

/** The answer for a record that was sent. */
export interface DeliveryAnswer extends SubmitAnswer {
  /** True if a request with this record alone was refused: by a proxy, or by a node that cannot read it. */
  readonly wasAlone?: boolean
}

/** As many of the first records as fit into one request; at least one. @param bytesOf size of a payload */
export function nextBatch<T>(waiting: readonly T[], bytesOf: (record: T) => number): readonly T[] {
  const batch = waiting.slice(0, SUBMIT_RECORDS)
  let bytes = 0
  const end = batch.findIndex((record, at) => (bytes += bytesOf(record)) > SUBMIT_BYTES && at > 0)
  return end < 0 ? batch : batch.slice(0, end)
}

export interface SendOptions {
  readonly signal?: AbortSignal | undefined
  /** Filled as answers come: after a failure, with those of the records that were sent before it. */
  readonly answers?: DeliveryAnswer[]
  /**
   * Whether to send nothing after a record that was refused alone: later records may build on it, and a node would store them
   * without effect. Then there are fewer answers than records. Default false.
   */
  readonly stops?: boolean
}

const isOfContent = (error: unknown): error is ClientError =>
  error instanceof ClientError && CONTENT_REFUSED.includes(error.status)

/** A node whose refusal of a request with one record is the answer for that record. @param textOf its message, for people */
export function answering(api: NodeApi, textOf: (error: ClientError) => string): Pick<NodeApi, 'submit'> {
  return {
    async submit(records, signal): Promise<DeliveryAnswer[]> {
      try {
        return await api.submit(records, signal)
      } catch (error) {
        if (records.length > 1 || !isOfContent(error)) throw error
        const code = error.nodeCode === undefined || error.nodeCode === '' ? {} : { code: error.nodeCode }
        return [{ status: 'refused', retry: false, wasAlone: true, ...code, message: textOf(error) }]
      }
    },
  }
}

/**
 * Sends records to a node, in their order.
 *
 * @returns one answer for each record, in order; see `stops`
 * @throws ClientError if the node cannot be reached, or refuses for a reason that is not in the records
 */
export async function sendBatch(
  api: Pick<NodeApi, 'submit'>,
  records: readonly RecordText[],
  options: SendOptions,
): Promise<DeliveryAnswer[]> {
  const { signal, answers = [], stops } = options
  try {
    answers.push(...(await api.submit(records, signal)))
  } catch (error) {
    if (records.length < 2 || !isOfContent(error)) throw error
    const middle = records.length >> 1
    await sendBatch(api, records.slice(0, middle), { ...options, answers })
    if (stops === true && answers.at(-1)?.wasAlone === true) return answers
    await sendBatch(api, records.slice(middle), { ...options, answers })
  }
  return answers
}

/**
 * What becomes of records that a node has answered for.
 *
 * @param fateOf of a record that is not among `sent`; undefined if it is not in the queue, or a snapshot superseded it
 */
export function fatesOf(
  sent: readonly OutgoingRecord[],
  answers: readonly SubmitAnswer[],
  fateOf: (id: string) => 'waits' | 'refused' | undefined,
): Fate[] {
  const left = new Map<string, Exclude<Fate, 'taken'> | undefined>(sent.map(({ id }) => [id, undefined]))
  return sent.map(({ id, prev }, at) => {
    const cited = prev.map((each) => (left.has(each.id) ? left.get(each.id) : fateOf(each.id)))
    const answer = answers[at]
    const fate =
      answer === undefined
        ? 'waits'
        : fateOfAnswer(
            answer,
            cited.find((each) => each !== undefined),
          )
    // A snapshot replaces the records that it supersedes, so they hold nothing back.
    if (fate !== 'taken' && answer?.status !== 'superseded') left.set(id, fate)
    return fate
  })
}

/** @param cited the fate of a record that this one cites, and that stays in the queue */
function fateOfAnswer({ status, retry }: SubmitAnswer, cited: Exclude<Fate, 'taken'> | undefined): Fate {
  if (status === 'refused' && retry === true) return 'waits'
  if (!STORED_STATUSES.has(status)) return 'refused'
  // `stored`: the node shows the record, so the node has all that it cites.
  return status === 'stored' ? 'taken' : (cited ?? 'taken')
}
