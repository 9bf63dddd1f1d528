import { backOffMs } from '../platform/back-off.ts'
import { messageOf } from '../platform/errors.ts'
import type { Avatar, RecordId, VerifiedRecord } from '../record/types.ts'
import { parseEvent, parseJson } from './answers.ts'
import { createDeadline, isAborted, pause } from './deadline.ts'
import { ClientError } from './errors.ts'
import { HeldIds } from './held-ids.ts'
import { framesOf, type StreamFrame } from './event-stream.ts'
import { MAX_EMPTY_EVENTS, RECONNECT_FIRST_MS, RECONNECT_MOST_MS, STREAM_SILENCE_MS, SURVEY_MS } from './limits.ts'
import type { LocalAvatar } from './local-avatar.ts'
import type { NodeApi } from './node-api.ts'
import type { CallOptions, VerifiedAvatar } from './types.ts'
import type { ClientParts, VerifiedReader } from './verified-reader.ts'

/**
 * `state` comes first, and again where a node could not tell what lies between. `change`: records that were not told of
 * before, verified, and the state with them. `superseded`: a snapshot took the place of a record that its author had not
 * seen; its author may want to write it again. `connection`: whether a node is being followed.
 */
export type WatchEvent =
  | { readonly type: 'state'; readonly state: VerifiedAvatar; readonly cursor: string | null }
  | {
      readonly type: 'change'
      readonly records: readonly VerifiedRecord[]
      readonly state: VerifiedAvatar
      readonly cursor: string | null
    }
  | { readonly type: 'superseded'; readonly id: RecordId; readonly counter: number; readonly cursor: string | null }
  | {
      readonly type: 'connection'
      readonly status: 'live' | 'lost'
      readonly node: string
      /** Why it was lost, for people. */
      readonly message?: string
    }

/**
 * Follows one avatar.
 *
 * Guarantees: after the first `state` every record that counts is in exactly one `change`, whatever breaks in between: a
 * stream is opened first, and then the node is read, so that nothing falls between the two; and a change is what is new
 * among verified records, never what a node's event says. `superseded` is a node's word.
 * Where another node is seen to have more, the watch moves to that node; all are asked now and then, as one that follows a node
 * alone would not know.
 * Not guaranteed: `superseded` events across a change of nodes.
 */
export async function* watchAvatar(
  { pool, reader, signal: own }: Pick<ClientParts, 'pool' | 'reader' | 'signal'>,
  avatar: Avatar,
  options: CallOptions & { readonly after?: string },
): AsyncGenerator<WatchEvent, void, undefined> {
  const signals = [own, options.signal]
  const call = options.signal === undefined ? {} : { signal: options.signal }
  const follower = new Follower(avatar, reader, call, options.after)
  let failures = 0
  try {
    while (!isAborted(signals)) {
      const [api] = pool.order() as [NodeApi]
      const deadline = createDeadline(signals, STREAM_SILENCE_MS)
      const within = [...signals, deadline.signal]
      const survey = async (): Promise<undefined> => {
        await pause(pool.all.length > 1 ? SURVEY_MS : 2 ** 31 - 1, within)
        if (!isAborted(within)) await reader.read(avatar, call).catch(() => {})
      }
      try {
        const stream = await api.events(avatar, follower.cursorAt(api), deadline)
        yield { type: 'connection', status: 'live', node: api.url }
        yield* follower.begin(api)
        const frames = framesOf(stream, deadline)
        const read = (): ReturnType<typeof frames.next> => {
          const come = frames.next()
          // Nobody may wait for it any more when it fails.
          come.catch(() => {})
          return come
        }
        let next = read()
        let wake = (): void => {}
        let isSurveyed = false
        const surveyOnce = (): void => {
          isSurveyed = false
          void survey().then(() => {
            // Then the stream ends, and `next` with it.
            if (isAborted(within)) return
            isSurveyed = true
            wake()
          })
        }
        surveyOnce()
        // Each node that is left has been found wanting, so that this ends at the best.
        while (!pool.hasBetterNode(api)) {
          // Not Promise.race with the survey: each frame would leave a reaction at a promise that waits for very long.
          const come = await new Promise<Awaited<typeof next> | undefined>((resolve, reject) => {
            wake = () => resolve(undefined)
            if (isSurveyed) wake()
            next.then(resolve, reject)
          })
          if (come?.done === true) break
          if (come === undefined) surveyOnce()
          else {
            failures = 0
            next = read()
          }
          if (come !== undefined || !pool.hasBetterNode(api)) yield* follower.take(api, come?.value ?? [])
        }
        if (isAborted(signals)) return
        if (pool.hasBetterNode(api)) {
          yield lost(api, 'another shows more')
          continue
        }
        yield lost(api, 'it ended the stream')
        pool.reportStatus(api, 'failed')
      } catch (error) {
        if (isAborted(signals)) return
        if (error instanceof ClientError && error.code === 'unsupported') throw error
        if (error instanceof ClientError) yield lost(api, error.message)
        else if (deadline.timedOut) yield lost(api, `nothing came for ${STREAM_SILENCE_MS / 1000} s`)
        else if (isStreamFailure(error)) yield lost(api, messageOf(error))
        else throw error
        pool.reportStatus(api, 'failed')
      } finally {
        deadline.abort()
      }
      const longest = backOffMs(failures++, RECONNECT_FIRST_MS, RECONNECT_MOST_MS)
      // Jitter: clients that lost a node at the same moment do not all return at the same moment.
      await pause(longest * (0.5 + Math.random() / 2), signals)
    }
  } finally {
    follower.close()
  }
}

function lost({ url }: NodeApi, message: string): WatchEvent {
  return { type: 'connection', status: 'lost', node: url, message }
}

/** Platforms throw a TypeError, or a DOMException, where a stream breaks off. */
function isStreamFailure(error: unknown): boolean {
  return (
    error instanceof TypeError ||
    (error instanceof Error && /abort|terminated|network|socket/i.test(error.message + error.name))
  )
}

const CURSOR = /^(\S{1,256})@(\S{1,2048})$/

class Follower {
  readonly #avatar: Avatar
  readonly #reader: VerifiedReader
  readonly #call: CallOptions
  /** The node that the cursor is of; those of other nodes mean nothing there. */
  #node = ''
  #cursor: string | null = null
  /** Whether records that were known before are told of again, as the given cursor asks. */
  readonly #replays: boolean
  readonly #told = new HeldIds(() => this.#local)
  /** Records that were added and not told of yet. */
  readonly #fresh = new HeldIds(() => this.#local)
  #local: LocalAvatar | undefined
  #unsubscribe: (() => void) | undefined
  #state: VerifiedAvatar | undefined
  #emptyEvents = 0

  constructor(avatar: Avatar, reader: VerifiedReader, call: CallOptions, after: string | undefined) {
    this.#avatar = avatar
    this.#reader = reader
    this.#call = call
    this.#replays = after !== undefined
    const match = CURSOR.exec(after ?? '')
    if (after !== undefined && match === null) {
      throw new ClientError('usage', 'after is the cursor of an earlier event, as it was.')
    }
    this.#cursor = match?.[1] ?? null
    this.#node = match?.[2] ?? ''
  }

  cursorAt({ url }: NodeApi): string | null {
    return url === this.#node ? this.#cursor : null
  }

  get #place(): string | null {
    return this.#cursor === null ? null : `${this.#cursor}@${this.#node}`
  }

  close(): void {
    this.#unsubscribe?.()
  }

  /** Reads what there is, once the stream is open. */
  async *begin(api: NodeApi): AsyncGenerator<WatchEvent, void, undefined> {
    if (api.url !== this.#node) {
      this.#node = api.url
      this.#cursor = null
    }
    this.#emptyEvents = 0
    if (this.#local === undefined) {
      const { local, verified } = await this.#reader.read(this.#avatar, this.#call)
      this.#local = local
      this.#unsubscribe = local.onAdded(({ id }) => this.#fresh.add(id))
      // While it was saved, more may have been added.
      this.#state = { ...verified, ...local.snapshot() }
      yield { type: 'state', state: this.#state, cursor: this.#place }
    }
    yield* this.#readOn(api)
  }

  async *take(api: NodeApi, frames: readonly StreamFrame[]): AsyncGenerator<WatchEvent, void, undefined> {
    const local = this.#local
    if (local === undefined) return
    const replayed: VerifiedRecord[] = []
    const superseded: { id: RecordId; counter: number }[] = []
    let isReset = false
    let isBehind = false
    for (const { cursor, event, data } of frames) {
      if (cursor !== null && cursor.length <= 256) this.#cursor = cursor
      isReset ||= event === 'reset'
      if (event !== 'record' && event !== 'superseded') continue
      const { avatar, id, counter } = readEvent(api, data)
      if (avatar !== this.#avatar) continue
      if (event === 'superseded') superseded.push({ id, counter })
      else {
        const known = local.get(id)
        if (known === undefined) isBehind ||= counter >= (local.base?.counter ?? 0)
        else if (this.#replays && !this.#told.delete(id) && !this.#fresh.has(id)) replayed.push(known)
      }
    }
    if (replayed.length > 0 && this.#state !== undefined) {
      yield { type: 'change', records: replayed, state: this.#state, cursor: this.#place }
    }
    if (isBehind || isReset || this.#fresh.size > 0) {
      const before = local.digest
      const told = yield* this.#readOn(api)
      if (told || local.digest !== before) this.#emptyEvents = 0
      else if (isBehind && ++this.#emptyEvents > MAX_EMPTY_EVENTS) {
        throw new ClientError('bad_answer', `The node at ${api.url} tells of records that it does not hand out.`)
      }
    }
    if (isReset && this.#state !== undefined) yield { type: 'state', state: this.#state, cursor: this.#place }
    for (const each of superseded) yield { type: 'superseded', ...each, cursor: this.#place }
  }

  /** Takes in what came since the last time, and tells of it; true where there was something. */
  async *#readOn(api: NodeApi): AsyncGenerator<WatchEvent, boolean, undefined> {
    const local = this.#local
    if (local === undefined) return false
    const read = await this.#reader.readOne(api, local, this.#call)
    if (read.outcome === 'failed') {
      const [problem] = read.problems
      throw new ClientError('bad_answer', problem?.message ?? `The node at ${api.url} does not hand out its records.`)
    }
    this.#state = read.verified
    const records = this.#fresh.take().flatMap((id) => local.get(id) ?? [])
    if (records.length === 0) return false
    if (this.#replays) for (const { id } of records) this.#told.add(id)
    yield { type: 'change', records, state: read.verified, cursor: this.#place }
    return true
  }
}

function readEvent({ url }: NodeApi, data: string): ReturnType<typeof parseEvent> {
  try {
    return parseEvent(parseJson(data))
  } catch (error) {
    throw new ClientError('bad_answer', `An event of the node at ${url} is not one: ${messageOf(error)}`, { node: url })
  }
}
