/**
 * Sends own writes of one avatar, in order. A write leaves the queue once a node has taken it. A write that no node takes stays,
 * and the app is told why. It is safe to send a record again.
 */
import { messageOf } from '../platform/errors.ts'
import type { PatchBody } from '../record/types.ts'
import {
  answering,
  fatesOf,
  nextBatch,
  sendBatch,
  type DeliveryAnswer,
  type OutgoingRecord,
} from '../client/delivery.ts'
import { ClientError } from '../client/errors.ts'
import { sendMissing } from '../client/submit-records.ts'
import type { NodeApi } from '../client/node-api.ts'
import { isNodesFault, type NodePool } from '../client/node-pool.ts'
import { recordText } from '../client/sign-patch.ts'
import { isSeenByTooFew, tooFewText } from '../client/standing.ts'
import type { VerifiedReader } from '../client/verified-reader.ts'
import { MAX_AHEAD_SECONDS } from './limits.ts'
import { AHEAD } from './reasons.ts'
import type { Restorer } from './restore.ts'
import type { AvatarReplica } from './avatar-replica.ts'
import type { QueuedWrite } from './rows.ts'

export interface DeliveryComponents {
  readonly pool: NodePool
  readonly restorer: Restorer
  readonly now: () => number
}

/** `idle`: nothing waits. `again`: a step was done, and there may be more. Otherwise why no step could be done. */
export type Delivered =
  | 'idle'
  | 'again'
  | { readonly kind: 'unreachable' | 'refused' | 'refused_for_good'; readonly message: string }

/**
 * Does one step.
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

  let batch = batchOf(waiting, now())
  let invalid: DeliveryAnswer | undefined
  let isInvalidEverywhere = true
  let trouble: Exclude<Delivered, string> = { kind: 'unreachable', message: 'No node answered.' }
  for (const api of pool.order()) {
    let results: DeliveryAnswer[]
    try {
      const texts = batch.map(({ record }) => recordText(record))
      results = await sendBatch(answering(api, messageOf), texts, { signal, stops: true })
    } catch (error) {
      if (!(error instanceof ClientError) || error.code === 'aborted') throw error
      isInvalidEverywhere = false
      if (error.code === 'refused') trouble = { kind: 'refused', message: error.message }
      else if (trouble.kind === 'unreachable') trouble = { kind: 'unreachable', message: error.message }
      if (isNodesFault(error)) pool.reportStatus(api, 'failed')
      continue
    }
    const end = fatesOf(batch.map(outgoing), results, () => undefined).findIndex((fate) => fate !== 'taken')
    const taken = batch.slice(0, end < 0 ? batch.length : end)
    if (results.slice(0, taken.length).some(({ status }) => status === 'pending')) await heal(api, replica, signal)
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
    if (answer.status === 'invalid' || answer.wasAlone === true) invalid ??= answer
    else {
      isInvalidEverywhere = false
      const kind = answer.retry === false ? 'refused_for_good' : 'refused'
      trouble = { kind, message: `The node at ${api.url} did not take it (${answer.status}): ${reasonOf(answer)}` }
    }
  }
  const [first] = batch
  if (first !== undefined && invalid !== undefined && isInvalidEverywhere) {
    await restorer.reject(replica, first, `No node accepts it: ${reasonOf(invalid)}`)
    return 'again'
  }
  return trouble
}

/**
 * As many writes as fit into a request, up to the first that may be refused because of its time: nodes would store the writes that
 * build on that one.
 */
function batchOf(waiting: readonly QueuedWrite[], now: number): readonly QueuedWrite[] {
  const ahead = waiting.findIndex((write) => isAhead(write, now))
  const timely = ahead < 0 ? waiting : waiting.slice(0, ahead + 1)
  return nextBatch(timely, ({ record }) => record.payload.length)
}

const outgoing = ({ record }: QueuedWrite): OutgoingRecord => ({
  id: record.id,
  prev: (record.body as PatchBody).prev,
})

/** Whether a snapshot that the node holds supersedes a write. The snapshot is read: the node's word is not enough. */
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

/** Whether a write is ahead of the clock here too. If not, the node's clock may be wrong, and other nodes take the write. */
function isAhead(entry: QueuedWrite, now: number): boolean {
  return entry.record.body.created_at > Math.floor(now / 1_000) + MAX_AHEAD_SECONDS
}

/** Sends a node the records that it lacks of those that own writes cite. Following the node shows whether it took them. */
async function heal(api: NodeApi, replica: AvatarReplica, signal: AbortSignal): Promise<void> {
  try {
    await sendMissing(api, replica.shown, signal)
  } catch (error) {
    if (!(error instanceof ClientError) || error.code === 'aborted') throw error
  }
}

function reasonOf({ code, message }: DeliveryAnswer): string {
  return [code, message].filter((part) => part !== undefined).join(': ') || 'it gave no reason'
}

/** Why a step failed, for people. */
export function troubleOf(error: unknown): Exclude<Delivered, string> {
  return { kind: 'unreachable', message: messageOf(error) }
}
