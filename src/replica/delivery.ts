/**
 * Sends what waits of one avatar, in order. A write leaves the queue once a node has taken it; what no node takes stays, and
 * is told of. The same bytes may be handed in any number of times: a record is one record.
 */
import { messageOf } from '../platform/errors.ts'
import type { SubmitAnswer } from '../client/answers.ts'
import { ClientError } from '../client/errors.ts'
import { heal as healWith } from '../client/hand-in.ts'
import type { NodeApi } from '../client/node-api.ts'
import { isNodesFault, type NodePool } from '../client/node-pool.ts'
import { recordText } from '../client/sign-patch.ts'
import { isSeenByTooFew, tooFewText } from '../client/standing.ts'
import type { VerifiedReader } from '../client/verified-reader.ts'
import { MAX_AHEAD_SECONDS, SUBMIT_BYTES, SUBMIT_RECORDS } from './limits.ts'
import { AHEAD } from './reasons.ts'
import type { Restorer } from './restore.ts'
import type { AvatarReplica } from './avatar-replica.ts'
import type { QueuedWrite } from './rows.ts'

export interface DeliveryComponents {
  readonly pool: NodePool
  readonly restorer: Restorer
  readonly now: () => number
}

/** `idle`: nothing waits. `again`: something was done, and there may be more. Else why nothing could be. */
export type Delivered =
  | 'idle'
  | 'again'
  | { readonly kind: 'unreachable' | 'refused' | 'refused_for_good'; readonly message: string }

const TAKEN: ReadonlySet<string> = new Set(['stored', 'pending', 'duplicate'])

/**
 * One step.
 *
 * @throws ClientError `aborted`, ReplicaError `storage`, `not_followed`
 */
export async function deliver(
  { pool, restorer, now }: DeliveryComponents,
  replica: AvatarReplica,
  reader: VerifiedReader,
  signal: AbortSignal,
): Promise<Delivered> {
  const { waiting } = replica
  if (waiting.length === 0) return 'idle'
  const blind = waiting.findIndex(({ note }) => note.blind === true)
  if (blind >= 0) {
    const { verified } = await reader.read(replica.avatar, { signal, everyone: true })
    if (isSeenByTooFew(verified)) return { kind: 'unreachable', message: tooFewText(verified) }
    await restorer.open(replica, waiting.slice(blind))
    return 'again'
  }
  const base = replica.confirmed.base?.counter ?? 0
  const broken = waiting.findIndex((entry) => replica.isOrphan(entry) || entry.record.body.counter < base)
  if (broken >= 0) {
    await restorer.restore(replica, waiting.slice(broken))
    return 'again'
  }

  let batch = firstOf(waiting, now())
  let invalid: SubmitAnswer | undefined
  let isInvalidEverywhere = true
  let trouble: Exclude<Delivered, string> = { kind: 'unreachable', message: 'No node answered.' }
  for (const api of pool.order()) {
    let results: SubmitAnswer[]
    try {
      results = await api.submit(
        batch.map(({ record }) => recordText(record)),
        signal,
      )
    } catch (error) {
      if (!(error instanceof ClientError) || error.code === 'aborted') throw error
      isInvalidEverywhere = false
      if (error.code === 'refused') trouble = { kind: 'refused', message: error.message }
      else if (trouble.kind === 'unreachable') trouble = { kind: 'unreachable', message: error.message }
      if (isNodesFault(error)) pool.stood(api, 'failed')
      continue
    }
    const end = results.findIndex(({ status }) => !TAKEN.has(status))
    const taken = batch.slice(0, end < 0 ? batch.length : end)
    if (results.some(({ status }) => status === 'pending')) await heal(api, replica, signal)
    if (taken.length > 0) {
      await replica.sent(
        taken.map(({ record }) => record.id),
        api.url,
      )
    }
    batch = batch.slice(taken.length)
    const [first] = batch
    const answer = results[taken.length]
    if (first === undefined || answer === undefined) return 'again'
    if (answer.status === 'superseded' && (await isSuperseded(replica, reader, api, first, signal))) return 'again'
    if (answer.code === 'created_at_ahead' && isAhead(first, now())) {
      const later = replica.waiting.filter(({ position }) => position >= first.position)
      await restorer.restore(replica, later, AHEAD)
      return 'again'
    }
    if (answer.status === 'invalid') invalid ??= answer
    else {
      isInvalidEverywhere = false
      const kind = answer.retry === false ? 'refused_for_good' : 'refused'
      trouble = { kind, message: `The node at ${api.url} did not take it (${answer.status}): ${reasonOf(answer)}` }
    }
  }
  const [first] = batch
  if (first !== undefined && invalid !== undefined && isInvalidEverywhere) {
    await restorer.reject(replica, first, `No node calls it valid: ${reasonOf(invalid)}`)
    return 'again'
  }
  return trouble
}

/** As much as fits into a request; of what may be refused for its time, one, for nodes would keep what is built on it. */
function firstOf(waiting: readonly QueuedWrite[], now: number): readonly QueuedWrite[] {
  let bytes = 0
  const batch = waiting.slice(0, SUBMIT_RECORDS)
  const end = batch.findIndex(
    ({ record }, at) => ((bytes += record.payload.length) > SUBMIT_BYTES || isAhead(batch[at - 1], now)) && at > 0,
  )
  return end < 0 ? batch : batch.slice(0, end)
}

/** Whether a snapshot that the node holds supersedes a write: not by its word, but by the snapshot. */
async function isSuperseded(
  replica: AvatarReplica,
  reader: VerifiedReader,
  api: NodeApi,
  { record }: QueuedWrite,
  signal: AbortSignal,
): Promise<boolean> {
  await reader.readOne(api, replica.confirmed, { signal })
  return record.body.counter < (replica.confirmed.base?.counter ?? 0)
}

/** Whether a write is ahead of the clock here as well: else this clock may be behind, and other nodes take it. */
function isAhead(entry: QueuedWrite | undefined, now: number): boolean {
  return entry !== undefined && entry.record.body.created_at > Math.floor(now / 1_000) + MAX_AHEAD_SECONDS
}

/** Gives a node what it lacks of what it was given, as far as it is known here. What it does with it, following shows. */
async function heal(api: NodeApi, replica: AvatarReplica, signal: AbortSignal): Promise<void> {
  try {
    await healWith(api, replica.shown, signal)
  } catch (error) {
    if (!(error instanceof ClientError) || error.code === 'aborted') throw error
  }
}

function reasonOf({ code, message }: SubmitAnswer): string {
  return [code, message].filter((part) => part !== undefined).join(': ') || 'it gave no reason'
}

/** For people: why a step failed, whatever it was. */
export function troubleOf(error: unknown): Exclude<Delivered, string> {
  return { kind: 'unreachable', message: messageOf(error) }
}
