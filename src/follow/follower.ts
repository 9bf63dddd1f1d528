/**
 * Follows the avatars of this node's list at a few peers, so that it need not receive the whole network's gossip.
 *
 * Guaranteed: it asks `useGossip` for the topic while an avatar is followed nowhere and a peer gossips that cannot be followed, or
 * the list is too long for a stream; and it asks for a sync after each gap: when a stream begins, ends, or missed records. A peer
 * that does not send what sync brings does not count as a source of that avatar for a while.
 */
import { between, jittered } from '../platform/back-off.ts'
import type { Environment } from '../platform/environment.ts'
import { IngestBusyError } from '../ingest/errors.ts'
import type { Ingest } from '../ingest/types.ts'
import type { Logger, Metrics } from '../observe/types.ts'
import type { Avatar, SignedRecord } from '../record/types.ts'
import type { Scope } from '../store/types.ts'
import type { FrameStream, SyncTransport } from '../sync/types.ts'
import { createDoubts, type DoubtsComponents } from './doubts.ts'
import { FollowError } from './errors.ts'
import { decodeFollowFrame, encodeFollowFrame, hasBit } from './frames.ts'
import * as limits from './limits.ts'

/** A stream to one peer. */
interface Followed {
  readonly peer: string
  readonly stream: FrameStream
  /** Lists that the peer has not answered yet, oldest first. */
  readonly asked: (readonly Avatar[])[]
  /** Avatars of the last answered list that the peer keeps. */
  kept: ReadonlySet<Avatar>
  cancelWait: () => void
}

export interface FollowerComponents {
  readonly transport: Pick<SyncTransport, 'peers' | 'open' | 'penalize' | 'isConfigured' | 'hostOf'>
  readonly scope: () => Scope
  readonly ingest: Pick<Ingest, 'submit'>
  /** Connected peers that follow the gossip topic. */
  readonly gossipPeers: () => readonly string[]
  /** Joins the gossip topic, or leaves it. */
  readonly useGossip: (on: boolean) => void
  /** Starts a sync with all peers soon. */
  readonly nudge: () => void
  readonly comparedAtMs: DoubtsComponents['comparedAtMs']
  readonly avatarOf: DoubtsComponents['avatarOf']
  readonly environment: Environment
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'gauge' | 'stranger'>
}

export function createFollower(components: FollowerComponents, { network }: { readonly network: string }) {
  const { transport, scope, ingest, environment, logger } = components
  const { clock, timers, random } = environment
  const streams = new Map<string, Followed>()
  const opening = new Set<string>()
  const retryAtMs = new Map<string, number>()
  const stopping = new AbortController()
  let list: readonly Avatar[] = []
  let cancelReview = (): void => undefined
  let cancelSettle: (() => void) | undefined
  let cancelNudge: (() => void) | undefined
  let nudgedAtMs = Number.NEGATIVE_INFINITY
  let usesGossip: boolean | undefined
  const doubts = createDoubts({
    clock,
    timers,
    avatarOf: components.avatarOf,
    comparedAtMs: components.comparedAtMs,
    onDoubt(peer) {
      components.metrics.stranger('follow', 'withheld')
      logger.debug(
        { peer },
        'a followed peer did not send a record that sync brought; the node looks for another source',
      )
      settle()
    },
  })
  components.metrics.gauge('follow_streams', 'Peers at which this node follows its avatars.', () => streams.size)

  /** Asks for a sync, soon after the last one at the earliest: a peer could report gaps all the time. */
  function nudge(): void {
    if (cancelNudge !== undefined || stopping.signal.aborted) return
    const waitMs = Math.min(limits.NUDGE_MS, nudgedAtMs + limits.NUDGE_MS - clock.now())
    cancelNudge = timers.after(Math.max(0, waitMs), () => {
      cancelNudge = undefined
      nudgedAtMs = clock.now()
      components.nudge()
    })
  }

  /** The list that streams carry; undefined if the node stores everything, or lists more than a stream can carry. */
  function wanted(): readonly Avatar[] | undefined {
    const avatars = scope()
    return avatars === 'all' || avatars.length > limits.MAX_FOLLOWED_AVATARS ? undefined : avatars.toSorted()
  }

  const isSource = ({ peer, kept }: Followed, avatar: Avatar): boolean =>
    kept.has(avatar) && !doubts.isDoubted(peer, avatar)

  /** Number of streams of the avatar that has the fewest. Doubted peers do not count. */
  function coverage(): number {
    const all = [...streams.values()]
    let fewest = Number.POSITIVE_INFINITY
    for (const avatar of list) {
      fewest = Math.min(fewest, all.filter((one) => isSource(one, avatar)).length)
      if (fewest === 0) break
    }
    return fewest
  }

  function review(): void {
    if (stopping.signal.aborted) return
    cancelReview()
    cancelReview = timers.after(jittered(random, limits.REVIEW_MS), review)
    const now = wanted()
    if (now === undefined) {
      for (const { stream } of streams.values()) stream.abort(new Error('This node follows the gossip topic.'))
      return setGossip(true)
    }
    if (now.length !== list.length || now.some((avatar, at) => avatar !== list[at])) {
      list = now
      for (const followed of streams.values()) void sendList(followed).catch(() => undefined)
    }
    for (const [peer, at] of retryAtMs) if (at <= clock.now()) retryAtMs.delete(peer)
    doubts.tidy()
    const enough = coverage()
    if (list.length > 0 && enough < limits.WANTED_STREAMS) openMore()
    const speaking = new Set(transport.peers())
    const isFull = streams.size >= limits.MAX_STREAMS
    const cannotFollow = (peer: string): boolean =>
      !speaking.has(peer) || retryAtMs.has(peer) || doubts.isAnyDoubted(peer) || (isFull && !streams.has(peer))
    setGossip(enough === 0 && components.gossipPeers().some(cannotFollow))
  }

  function setGossip(on: boolean): void {
    if (usesGossip === on) return
    usesGossip = on
    components.useGossip(on)
    // What was published meanwhile comes by sync.
    if (usesGossip) nudge()
  }

  function openMore(): void {
    const free = limits.MAX_STREAMS - streams.size - opening.size
    const candidates = transport
      .peers()
      .filter((peer) => !streams.has(peer) && !opening.has(peer) && !retryAtMs.has(peer))
      .map((peer) => ({ peer, rank: rankOf(peer) }))
      .toSorted((a, b) => a.rank - b.rank)
    if (free <= 0 && candidates.some(({ peer }) => !doubts.isAnyDoubted(peer))) return replaceOne()
    // A few at a time: the answers may show that these are enough.
    const more = Math.min(free, Math.max(0, limits.WANTED_STREAMS - opening.size))
    for (const { peer } of candidates.slice(0, Math.max(0, more))) void follow(peer)
  }

  /** Configured peers come first, doubted ones last. */
  function rankOf(peer: string): number {
    return doubts.isAnyDoubted(peer) ? 3 : transport.isConfigured(peer) ? 0 : between(random, 1, 2)
  }

  /** Ends a stream by which nothing comes that counts, so that another peer gets its place. */
  function replaceOne(): void {
    const isUseless = (one: Followed): boolean =>
      doubts.isAnyDoubted(one.peer) && !list.some((avatar) => isSource(one, avatar))
    const useless = [...streams.values()].find(isUseless)
    useless?.stream.abort(new FollowError('withheld', 'The peer did not send records that it has.'))
  }

  async function follow(peer: string): Promise<void> {
    opening.add(peer)
    const timeout = new AbortController()
    const cancel = timers.after(limits.ANSWER_MS, () => timeout.abort(new Error('The peer does not answer.')))
    let followed: Followed | undefined
    try {
      const stream = await transport.open(peer, AbortSignal.any([timeout.signal, stopping.signal]))
      followed = { peer, stream, asked: [], kept: new Set(), cancelWait: () => undefined }
      streams.set(peer, followed)
      await sendList(followed)
      for (;;) {
        const bytes = await stream.receive()
        if (bytes === null) break
        await handle(followed, bytes)
      }
    } catch (error) {
      if (error instanceof FollowError && error.code === 'bad_message') transport.penalize(peer, error.code)
      followed?.stream.abort(error instanceof Error ? error : new Error('The stream ended.'))
      logger.debug({ err: error, peer }, 'the node no longer follows its avatars at a peer')
    } finally {
      cancel()
      followed?.cancelWait()
      opening.delete(peer)
      streams.delete(peer)
      doubts.ended(peer)
      retryAtMs.set(peer, clock.now() + limits.RETRY_MS)
      if (!stopping.signal.aborted) {
        if (followed !== undefined) nudge()
        settle()
      }
    }
  }

  async function sendList(followed: Followed): Promise<void> {
    const { stream, asked } = followed
    asked.push(list)
    followed.cancelWait()
    const late = new FollowError('too_slow', 'The peer did not answer a list of avatars.')
    followed.cancelWait = timers.after(limits.ANSWER_MS, () => stream.abort(late))
    await stream.send(encodeFollowFrame({ kind: 'follow', network, avatars: list }))
  }

  async function handle(followed: Followed, bytes: Uint8Array): Promise<void> {
    const frame = decodeFollowFrame(bytes)
    if (frame.kind === 'follow') throw new FollowError('bad_message', 'A peer that is followed sends no lists.')
    if (frame.kind === 'missed') {
      doubts.excuse(followed.peer)
      return nudge()
    }
    if (frame.kind === 'records') return await take(followed.peer, frame.records)
    const answered = followed.asked.shift()
    if (answered === undefined) throw new FollowError('bad_message', 'The peer answered a list that was not sent.')
    if (followed.asked.length === 0) followed.cancelWait()
    followed.kept = new Set(answered.filter((_, at) => hasBit(frame.common, at)))
    doubts.answered(followed.peer, followed.kept)
    opening.delete(followed.peer)
    // What was written between the last comparison and now.
    nudge()
    settle()
  }

  async function take(peer: string, records: readonly SignedRecord[]): Promise<void> {
    doubts.sent(peer, records)
    try {
      const results = await ingest.submit(records, { origin: 'follow', source: transport.hostOf(peer) })
      if (results.some(({ status }) => status === 'invalid')) {
        throw new FollowError('bad_message', 'A record is invalid.')
      }
    } catch (error) {
      if (!(error instanceof IngestBusyError)) throw error
      doubts.excuse(peer)
      nudge()
    }
  }

  /** Looks again soon whether the node follows enough. */
  function settle(): void {
    cancelSettle ??= timers.after(limits.SETTLE_MS, () => {
      cancelSettle = undefined
      review()
    })
  }

  return {
    start: review,
    /** Call this when the list has changed, or a peer has connected. */
    changed: settle,
    /** Call this with new records that came by sync. */
    synced: doubts.synced,
    stop(): void {
      stopping.abort(new Error('The node stops.'))
      cancelReview()
      cancelSettle?.()
      cancelNudge?.()
      doubts.stop()
      for (const { stream } of streams.values()) stream.abort(new Error('The node stops.'))
    },
  }
}
