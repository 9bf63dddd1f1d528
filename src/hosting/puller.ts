/**
 * Pulls the records of avatars that were taken in from where they lived before.
 *
 * Guaranteed: each is bounded in bytes and time, a few at once, all others wait; records of the avatar alone, through the
 * door; one that the end of the process has cut short begins anew at the next start.
 */
import { LRUCache } from 'lru-cache'

import type { Environment } from '../platform/environment.ts'
import type { Logger, Metrics } from '../observe/types.ts'
import type { Avatar } from '../record/types.ts'
import { HostingError } from './errors.ts'
import { PullError, type PullGuard } from './pull-guard.ts'
import type { PullReport } from './types.ts'

/** What an import has come to. */
export interface PulledCounts {
  readonly stored: number
  readonly duplicate: number
  /** Not taken, for whatever reason. */
  readonly refused: number
}

/**
 * Imports an archive.
 *
 * @returns what became of its records, and in words what keeps them from being all, if something does
 * @throws what `chunks` throws
 */
export type PullImport = (options: {
  readonly chunks: AsyncIterable<Uint8Array>
  readonly avatar: Avatar
  readonly progress: (counts: PulledCounts) => void
}) => Promise<PulledCounts & { readonly fault?: string }>

export interface PullerComponents {
  readonly guard: PullGuard
  readonly importArchive: PullImport
  /** Remembers what is to be pulled, beyond the end of the process. */
  readonly memory: {
    pulls(): readonly { readonly avatar: Avatar; readonly from: string; readonly at: number }[]
    pulling(avatar: Avatar, from: string): Promise<void>
    pulled(avatar: Avatar): Promise<void>
  }
  readonly environment: Pick<Environment, 'clock' | 'timers'>
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'gauge'>
}

export interface PullLimits {
  /** Pulls at once; default 2. */
  readonly atOnce: number
  /** Pulls that wait; default 100. */
  readonly waiting: number
  /** Of one archive, as it comes; default 1 GiB: some two million records. */
  readonly bytes: number
  /** One pull; default 30 min. */
  readonly totalMs: number
  /** Until the answer begins, then without a byte, and before `bytesPerS` counts; default 30 s. */
  readonly stallMs: number
  /** What the host must keep up while this node waits for it; default 1,024, as for archives that are sent here. */
  readonly bytesPerS: number
  /** Whether superseded records are asked for too; default false. */
  readonly history: boolean
}

const DEFAULT_LIMITS: PullLimits = {
  atOnce: 2,
  waiting: 100,
  bytes: 1024 * 1024 * 1024,
  totalMs: 30 * 60_000,
  stallMs: 30_000,
  bytesPerS: 1_024,
  history: false,
}

export interface Puller {
  /** Throws HostingError `pull_address_refused` for an address that will not be asked, `hosting_busy` where too many wait. */
  check(from: string): void
  /**
   * Has an avatar pulled, after those that wait. Nothing new where that is under way; from another address, it takes the
   * place of the one that is.
   */
  pull(avatar: Avatar, from: string): Promise<void>
  /** Of the pull that is under way, or else of the last one; undefined where none is remembered. */
  report(avatar: Avatar): PullReport | undefined
  /** Goes on with what the end of the process has cut short. */
  resume(): void
  stop(): Promise<void>
}

/** Pulls that have ended, and are remembered. */
const MAX_REMEMBERED = 1_000

type Draft = { -readonly [key in keyof PullReport]: PullReport[key] }

interface Running {
  readonly draft: Draft
  readonly controller: AbortController
  /** Where its owner wants it to be pulled from instead. */
  next: string | undefined
  ended: Promise<void>
}

export function createPuller(components: PullerComponents, options: Partial<PullLimits> = {}): Puller {
  const { guard, importArchive, memory, environment, logger, metrics } = components
  const { clock, timers } = environment
  const limits: PullLimits = { ...DEFAULT_LIMITS, ...options }
  const waiting = new Map<Avatar, Draft>()
  const running = new Map<Avatar, Running>()
  const ended = new LRUCache<Avatar, Draft>({ max: MAX_REMEMBERED })
  let isStopped = false

  metrics.gauge('hosting_pulls', 'Pulls of archives that wait or go on.', () => waiting.size + running.size)

  const nowS = (): number => Math.floor(clock.now() / 1_000)

  function enqueue(avatar: Avatar, from: string, at: number): void {
    waiting.set(avatar, {
      state: 'waiting',
      from,
      asked_at: at,
      finished_at: null,
      ...{ bytes: 0, stored: 0, duplicate: 0, refused: 0 },
      code: null,
      message: null,
    })
    startNext()
  }

  function startNext(): void {
    for (const [avatar, draft] of waiting) {
      if (isStopped || running.size >= limits.atOnce) return
      waiting.delete(avatar)
      const controller = new AbortController()
      const entry: Running = { draft, controller, next: undefined, ended: Promise.resolve() }
      running.set(avatar, entry)
      entry.ended = run(avatar, entry)
    }
  }

  async function run(avatar: Avatar, entry: Running): Promise<void> {
    const { draft, controller } = entry
    draft.state = 'pulling'
    const cancel = timers.after(limits.totalMs, () => {
      controller.abort(new PullError('unreachable', `It took longer than ${limits.totalMs / 60_000} min.`))
    })
    try {
      const body = await answered(
        guard.get(archiveUrl(draft.from, avatar, limits.history), controller.signal),
        controller,
      )
      const { fault, ...counts } = await importArchive({
        chunks: bounded(body, draft, controller),
        avatar,
        progress: (counts) => Object.assign(draft, counts),
      })
      Object.assign(draft, counts)
      if (fault !== undefined) throw new PullError('incomplete', fault)
      draft.state = 'done'
    } catch (error) {
      const reason: unknown = controller.signal.aborted ? controller.signal.reason : error
      draft.state = 'failed'
      draft.code = reason instanceof PullError ? reason.code : 'failed'
      draft.message =
        reason instanceof PullError ? reason.message : "The records could not be taken in; the node's log says why."
      // The owner names the source, and reads the reason in the answer of `GET /v2/hosting/{avatar}`.
      const level = reason instanceof PullError ? 'debug' : 'warn'
      if (!isStopped)
        logger[level]({ err: reason, avatar, from: draft.from }, 'the node could not fetch the records of an avatar')
    } finally {
      cancel()
    }
    draft.finished_at = nowS()
    running.delete(avatar)
    // What was cut short by the end of the process is to go on at the next start.
    if (isStopped) return
    ended.set(avatar, draft)
    if (entry.next !== undefined) return enqueue(avatar, entry.next, nowS())
    if (draft.state === 'done') logger.info({ avatar, ...draft }, 'an avatar was pulled')
    await memory.pulled(avatar).catch((error: unknown) => {
      logger.warn({ err: error, avatar }, 'the end of a pull could not be noted; the next start pulls again')
    })
    startNext()
  }

  /** Waits for the head of an answer, redirects among it, no longer than for a byte of the body. */
  async function answered<T>(answer: Promise<T>, controller: AbortController): Promise<T> {
    const cancel = timers.after(limits.stallMs, () => {
      controller.abort(new PullError('unreachable', `No answer came for ${limits.stallMs / 1_000} s.`))
    })
    return await answer.finally(cancel)
  }

  /** The body, no more and no slower than the limits say. */
  async function* bounded(
    body: AsyncIterable<Uint8Array>,
    draft: Draft,
    controller: AbortController,
  ): AsyncGenerator<Uint8Array> {
    const watch = (): (() => void) =>
      timers.after(limits.stallMs, () => {
        controller.abort(new PullError('unreachable', `Nothing came for ${limits.stallMs / 1_000} s.`))
      })
    let cancel = watch()
    let waitedMs = 0
    let sinceMs = clock.now()
    try {
      for await (const chunk of body) {
        cancel()
        waitedMs += Math.max(0, clock.now() - sinceMs)
        draft.bytes += chunk.byteLength
        if (draft.bytes > limits.bytes) throw new PullError('bad_answer', `It has more than ${limits.bytes} bytes.`)
        if (waitedMs > limits.stallMs && draft.bytes < (waitedMs / 1_000) * limits.bytesPerS) {
          throw new PullError('unreachable', `It sends less than ${limits.bytesPerS} bytes a second.`)
        }
        // Not watched meanwhile: it is this node that takes its time.
        yield chunk
        sinceMs = clock.now()
        cancel = watch()
      }
    } catch (error) {
      if (error instanceof PullError || controller.signal.aborted) throw error
      throw new PullError('bad_answer', 'The answer broke off.', { cause: error })
    } finally {
      cancel()
    }
  }

  return {
    check(from) {
      guard.check(archiveUrl(from, '0x', false))
      if (waiting.size < limits.waiting) return
      throw new HostingError('hosting_busy', 'Too many avatars wait to be pulled by this node; try again later.')
    },
    async pull(avatar, from) {
      const draft = waiting.get(avatar)
      const entry = running.get(avatar)
      const planned = draft?.from ?? entry?.next ?? entry?.draft.from
      if (planned === from || isStopped) return
      // Planned before it is noted: a pull that ends meanwhile must not strike out the note of this one.
      if (draft !== undefined) Object.assign(draft, { from, asked_at: nowS() })
      else if (entry === undefined) enqueue(avatar, from, nowS())
      else {
        entry.next = from
        entry.controller.abort(new PullError('unreachable', 'Its owner has named another address meanwhile.'))
      }
      await memory.pulling(avatar, from)
    },
    report: (avatar) => running.get(avatar)?.draft ?? waiting.get(avatar) ?? ended.get(avatar),
    resume() {
      for (const { avatar, from, at } of memory.pulls()) enqueue(avatar, from, at)
    },
    async stop() {
      isStopped = true
      for (const { controller } of running.values()) controller.abort(new PullError('unreachable', 'The node stops.'))
      await Promise.all([...running.values()].map((each) => each.ended))
    },
  }
}

/** `GET {from}/v2/archives?avatar=`; a path that a proxy wants is kept. */
function archiveUrl(from: string, avatar: string, history: boolean): string {
  return `${from.replace(/\/+$/, '')}/v2/archives?avatar=${avatar}${history ? '&history=true' : ''}`
}
