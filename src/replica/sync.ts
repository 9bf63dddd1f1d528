/**
 * The work of the leader for all tabs: follows every avatar, and sends the writes that wait.
 *
 * Guarantees: it ends when its signal is aborted, whatever nodes do. A failure is followed by a retry. Not guaranteed: when.
 */
import { backOffMs } from '../platform/back-off.ts'
import { messageOf } from '../platform/errors.ts'
import type { SignatureEngine } from '../record/engine.ts'
import { isAborted, joinSignals, pause } from '../client/deadline.ts'
import { ClientError } from '../client/errors.ts'
import type { NodePool } from '../client/node-pool.ts'
import type { VerifiedAvatar } from '../client/types.ts'
import { createVerifiedReader, type VerifiedReader } from '../client/verified-reader.ts'
import { watchAvatar } from '../client/watch.ts'
import { createWriteQueue } from '../client/write-queue.ts'
import { deliver, troubleOf, type Delivered } from './delivery.ts'
import { ReplicaError } from './errors.ts'
import { POLL_MS, RETRY_FIRST_MS, RETRY_MOST_MS, RETRY_REFUSED_MS } from './limits.ts'
import type { Restorer } from './restore.ts'
import type { AvatarReplica } from './avatar-replica.ts'
import type { Tabs } from './tabs.ts'
import type { ReplicaEvent } from './types.ts'

export interface SyncComponents {
  readonly pool: NodePool
  readonly engine: SignatureEngine
  readonly restorer: Restorer
  readonly tabs: Tabs
  readonly now: () => number
  readonly emit: (event: ReplicaEvent) => void
  readonly network: string
  readonly maxStreams: number
  readonly signal: AbortSignal
}

export type Sync = ReturnType<typeof createSync>

interface Job {
  readonly replica: AvatarReplica
  readonly reader: VerifiedReader
  readonly stop: AbortController
  /** Ends the round of following that is under way. */
  round: AbortController
  /** Ends the wait before the next try to send. */
  nudge: AbortController
  following: Promise<void>
  sending: Promise<void> | undefined
  hasMore: boolean
}

export function createSync(components: SyncComponents) {
  const { pool, engine, restorer, tabs, now, emit, network, maxStreams, signal } = components
  const jobs = new Map<AvatarReplica, Job>()
  const inTurn = createWriteQueue()
  let streams = 0
  /** Whether the platform's `fetch` lacks streams: then all avatars are polled. */
  let isPollingOnly = false

  const step = ({ replica, reader }: Job, until: AbortSignal): Promise<Delivered> =>
    inTurn(replica.avatar, () => deliver({ pool, restorer, now }, replica, reader, until))

  function say(replica: AvatarReplica, live: boolean, node?: string, message?: string): void {
    const changed = replica.status.live !== live
    if (changed) replica.status = { ...replica.status, live, since: now() }
    tabs.tell({ kind: 'status', avatar: replica.avatar, status: replica.status })
    if (changed || !live) {
      emit({ type: 'connection', avatar: replica.avatar, status: live ? 'live' : 'lost', node, message })
    }
  }

  async function heard(job: Job, { state }: VerifiedAvatar): Promise<void> {
    if (state === 'verified') await job.replica.verified()
    send(job)
  }

  async function followByStream(job: Job): Promise<void> {
    const { replica, reader, round } = job
    for await (const event of watchAvatar({ pool, reader, signal }, replica.avatar, { signal: round.signal })) {
      if (event.type === 'state' || event.type === 'change') await heard(job, event.state)
      else if (event.type === 'superseded') {
        emit({ type: 'superseded', avatar: replica.avatar, id: event.id, counter: event.counter })
      } else if (event.status === 'live') {
        say(replica, true, event.node)
        job.nudge.abort()
        send(job)
      } else say(replica, false, event.node, event.message)
    }
  }

  async function followByPolling(job: Job): Promise<void> {
    const { verified } = await job.reader.read(job.replica.avatar, { signal: job.round.signal })
    const answered = verified.nodes.find(({ standing }) => standing !== 'failed')
    say(job.replica, answered !== undefined, answered?.url, verified.problems[0]?.message)
    if (answered !== undefined) await heard(job, verified)
    await pause(POLL_MS, [job.round.signal])
  }

  async function follow(job: Job): Promise<void> {
    const { replica, stop } = job
    let failures = 0
    while (!isAborted([signal, stop.signal]) && !replica.gone) {
      job.round = new AbortController()
      const hasStream = streams < maxStreams && !isPollingOnly
      if (hasStream) streams += 1
      try {
        await (hasStream ? followByStream(job) : followByPolling(job))
        failures = 0
      } catch (error) {
        if (isAborted([signal, stop.signal])) break
        if (error instanceof ClientError && error.code === 'unsupported') isPollingOnly = true
        else if (!(error instanceof ClientError && error.code === 'aborted')) {
          say(replica, false, undefined, messageOf(error))
          if (!(error instanceof ClientError)) emit({ type: 'error', avatar: replica.avatar, error })
          await pause(backOff(failures++), [job.round.signal])
        }
      } finally {
        if (hasStream) streams -= 1
      }
    }
  }

  async function sendAll(job: Job): Promise<void> {
    const { replica } = job
    // The signal of the replica aborts it too, see below.
    const stop = job.stop.signal
    for (let failures = 0; !stop.aborted && !replica.gone;) {
      job.hasMore = false
      const outcome = await step(job, stop).catch((error: unknown) => {
        if (stop.aborted) return 'idle'
        if (!(error instanceof ClientError)) emit({ type: 'error', avatar: replica.avatar, error })
        return troubleOf(error)
      })
      if (outcome === 'again') failures = 0
      else if (outcome === 'idle') {
        if (!job.hasMore) return
      } else {
        const wait = outcome.kind === 'refused_for_good' ? RETRY_REFUSED_MS : backOff(failures++)
        if (outcome.kind !== 'unreachable') {
          emit({ type: 'refused', avatar: replica.avatar, message: outcome.message, retryAt: now() + wait })
        }
        job.nudge = new AbortController()
        await pause(wait, [stop, job.nudge.signal])
      }
    }
  }

  function send(job: Job): void {
    job.hasMore = true
    if (job.sending !== undefined || isAborted([signal, job.stop.signal])) return
    const run = sendAll(job)
      .catch((error: unknown) => emit({ type: 'error', avatar: job.replica.avatar, error }))
      .finally(() => (job.sending = undefined))
    job.sending = run
  }

  async function end(job: Job): Promise<void> {
    job.stop.abort()
    job.round.abort()
    job.nudge.abort()
    await Promise.allSettled([job.following, job.sending])
    job.replica.leading = false
  }

  signal.addEventListener('abort', () => {
    for (const job of jobs.values()) void end(job)
  })

  return {
    /** Follows an avatar from now on. */
    add(replica: AvatarReplica): void {
      if (jobs.has(replica) || signal.aborted) return
      const reader = createVerifiedReader({ pool, engine, cache: replica.cache, needsCache: true, network, signal })
      replica.leading = true
      // The connections of the tab that led before are not those of this tab.
      if (replica.status.live) replica.status = { ...replica.status, live: false, since: now() }
      const [stop, round, nudge] = [new AbortController(), new AbortController(), new AbortController()]
      const following = Promise.resolve()
      const job: Job = { replica, reader, stop, round, nudge, following, sending: undefined, hasMore: false }
      jobs.set(replica, job)
      // From now on the reader adds records to the replica's own state.
      job.following = reader
        .keep(replica.confirmed)
        .then(() => {
          send(job)
          return follow(job)
        })
        .catch((error: unknown) => emit({ type: 'error', avatar: replica.avatar, error }))
    },
    async remove(replica: AvatarReplica): Promise<void> {
      const job = jobs.get(replica)
      jobs.delete(replica)
      if (job !== undefined) await end(job)
    },
    /** Sends the writes of an avatar that wait. */
    send(replica: AvatarReplica): void {
      const job = jobs.get(replica)
      if (job !== undefined) send(job)
    },
    /** Tells other tabs which avatars are live. */
    tellAll(): void {
      for (const { avatar, status } of jobs.keys()) tabs.tell({ kind: 'status', avatar, status })
    },
    /** Connects and sends again at once, without waiting for the next retry. */
    wake(): void {
      for (const job of jobs.values()) {
        job.round.abort()
        job.nudge.abort()
        send(job)
      }
    },
    /** Reads and sends once. @throws ClientError, ReplicaError */
    async once(replica: AvatarReplica, own: AbortSignal | undefined): Promise<void> {
      const job = jobs.get(replica)
      if (job === undefined) throw new ReplicaError('not_followed', `${replica.avatar} is not followed.`)
      const { signal: either, close } = joinSignals([signal, own])
      try {
        const { verified } = await job.reader.read(replica.avatar, { signal: either })
        if (verified.nodes.every(({ standing }) => standing === 'failed')) {
          throw new ClientError('unreachable', verified.problems[0]?.message ?? 'No node answered.')
        }
        if (verified.state === 'verified') await replica.verified()
        for (let outcome = await step(job, either); outcome !== 'idle'; outcome = await step(job, either)) {
          if (outcome === 'again') continue
          throw new ClientError(outcome.kind === 'unreachable' ? 'unreachable' : 'refused', outcome.message)
        }
      } finally {
        close()
      }
    },
    /** Resolves when all has ended, after the signal. */
    async ended(): Promise<void> {
      await Promise.all([...jobs.values()].map(end))
      jobs.clear()
    },
  }
}

/** Milliseconds to wait after a failure. Random, so that replicas that lost a node together do not come back together. */
export function backOff(failures: number): number {
  return backOffMs(failures, RETRY_FIRST_MS, RETRY_MOST_MS) * (0.5 + Math.random() / 2)
}
