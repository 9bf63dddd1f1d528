/**
 * Pulls the records of newly hosted avatars from their previous nodes.
 *
 * Guaranteed: each pull is bounded in bytes and time; a few run at once and the others wait; only records of the avatar are
 * accepted, each fully verified; a pull that was interrupted by the end of the process starts again at the next start.
 */
import { LRUCache } from 'lru-cache'

import type { Environment } from '../platform/environment.ts'
import type { Logger, Metrics } from '../observe/types.ts'
import type { Avatar } from '../record/types.ts'
import { HostingError } from './errors.ts'
import { PullError, type PullGuard } from './pull-guard.ts'
import type { PullMemory, PullReport } from './types.ts'

/** Results of an import so far, in records. */
export type PulledCounts = Pick<PullReport, 'stored' | 'duplicate' | 'refused'>

/**
 * Imports an archive.
 *
 * @returns the counts, and a `fault` in words if the import is incomplete
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
  readonly memory: PullMemory
  readonly environment: Pick<Environment, 'clock' | 'timers'>
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'gauge'>
}

const DEFAULT_LIMITS = {
  /** Pulls at once. */
  atOnce: 2,
  /** Pulls that wait. */
  waiting: 100,
  /** Bytes of one archive as received: about two million records. */
  bytes: 1024 * 1024 * 1024,
  /** Longest time of one pull. */
  totalMs: 30 * 60_000,
  /** Longest wait for the answer, and for each next byte; also how long `bytesPerS` is not enforced. */
  stallMs: 30_000,
  /** Minimum rate of the server while this node waits for it, as for uploaded archives. */
  bytesPerS: 1_024,
  /** Whether to request superseded records too. */
  history: false,
}

export type PullLimits = Readonly<typeof DEFAULT_LIMITS>

export interface Puller {
  /** @throws HostingError `pull_address_refused` for a URL that is not allowed, `hosting_busy` if too many pulls wait */
  check(from: string): void
  /**
   * Queues a pull. Does nothing if the same pull waits or runs; a pull from another URL replaces the earlier one.
   */
  pull(avatar: Avatar, from: string): Promise<void>
  /** Returns the report of the current pull, or else of the last one; undefined if none is remembered. */
  report(avatar: Avatar): PullReport | undefined
  /** Starts pulls again that the end of the process interrupted. */
  resume(): void
  stop(): Promise<void>
}

/** Finished pulls whose reports are remembered. */
const MAX_REMEMBERED = 1_000

type Draft = { -readonly [key in keyof PullReport]: PullReport[key] }

interface Running {
  readonly draft: Draft
  readonly controller: AbortController
  /** The URL that replaces the current one, if the owner named another. */
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

  metrics.gauge('hosting_pulls', 'Pulls of archives that wait or run.', () => waiting.size + running.size)

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
    const late = `The pull took longer than ${limits.totalMs / 60_000} min. Request it again: stored records are kept.`
    const cancel = abortAfter(limits.totalMs, controller, late)
    try {
      const silent = `The server did not answer for ${limits.stallMs / 1_000} s.`
      const cancelSilent = abortAfter(limits.stallMs, controller, silent)
      const url = archiveUrl(draft.from, avatar, limits.history)
      const body = await guard.get(url, controller.signal).finally(cancelSilent)
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
      const isOfSource = reason instanceof PullError
      const message = 'This node could not store the records; its log says why. Try again later.'
      const { code } = isOfSource ? reason : { code: 'failed' }
      Object.assign(draft, { state: 'failed', code, message: isOfSource ? reason.message : message })
      // The owner names the source, and reads the reason in the answer of `GET /v2/hosting/{avatar}`.
      const level = isOfSource ? 'debug' : 'warn'
      if (!isStopped)
        logger[level]({ err: reason, avatar, from: draft.from }, 'the node could not fetch the records of an avatar')
    } finally {
      cancel()
    }
    draft.finished_at = nowS()
    running.delete(avatar)
    // The stored entry remains, so that the next start resumes this pull.
    if (isStopped) return
    ended.set(avatar, draft)
    if (entry.next !== undefined) return enqueue(avatar, entry.next, nowS())
    if (draft.state === 'done') logger.info({ avatar, ...draft }, 'the node pulled the records of an avatar')
    await memory.pulled(avatar).catch((error: unknown) => {
      logger.warn({ err: error, avatar }, 'the node could not store that a pull ended; the next start pulls again')
    })
    startNext()
  }

  function abortAfter(ms: number, controller: AbortController, why: string): () => void {
    return timers.after(ms, () => controller.abort(new PullError('unreachable', why)))
  }

  /** Yields the body; throws where it is too long or too slow. */
  async function* bounded(
    body: AsyncIterable<Uint8Array>,
    draft: Draft,
    controller: AbortController,
  ): AsyncGenerator<Uint8Array> {
    const silent = `The server sent nothing for ${limits.stallMs / 1_000} s.`
    let cancel = abortAfter(limits.stallMs, controller, silent)
    let waitedMs = 0
    let sinceMs = clock.now()
    try {
      for await (const chunk of body) {
        cancel()
        waitedMs += Math.max(0, clock.now() - sinceMs)
        draft.bytes += chunk.byteLength
        if (draft.bytes > limits.bytes)
          throw new PullError('bad_answer', `The archive has more than ${limits.bytes} bytes.`)
        if (waitedMs > limits.stallMs && draft.bytes < (waitedMs / 1_000) * limits.bytesPerS) {
          throw new PullError('unreachable', `The server sends less than ${limits.bytesPerS} bytes a second.`)
        }
        // No timeout here: this node is the slow side now.
        yield chunk
        sinceMs = clock.now()
        cancel = abortAfter(limits.stallMs, controller, silent)
      }
    } catch (error) {
      if (error instanceof PullError || controller.signal.aborted) throw error
      throw new PullError('bad_answer', 'The connection ended before the whole archive had arrived.', { cause: error })
    } finally {
      cancel()
    }
  }

  return {
    check(from) {
      guard.check(archiveUrl(from, '0x', false))
      if (waiting.size < limits.waiting) return
      throw new HostingError('hosting_busy', 'Too many pulls already wait at this node. Try again later.')
    },
    async pull(avatar, from) {
      const draft = waiting.get(avatar)
      const entry = running.get(avatar)
      const planned = draft?.from ?? entry?.next ?? entry?.draft.from
      if (planned === from || isStopped) return
      // Queue before storing: otherwise an earlier pull that ends now would remove the stored entry of this one.
      if (draft !== undefined) Object.assign(draft, { from, asked_at: nowS() })
      else if (entry === undefined) enqueue(avatar, from, nowS())
      else {
        entry.next = from
        entry.controller.abort(new PullError('unreachable', 'The owner of the avatar named another URL.'))
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

/** `GET {from}/v2/archives?avatar=`; keeps a path in `from`, for nodes behind a reverse proxy. */
function archiveUrl(from: string, avatar: string, history: boolean): string {
  return `${from.replace(/\/+$/, '')}/v2/archives?avatar=${avatar}${history ? '&history=true' : ''}`
}
