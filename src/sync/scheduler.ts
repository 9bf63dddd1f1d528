/**
 * When nodes sync, and with whom: on connect, on a jittered timer, when records went missing, after gossip was held up.
 *
 * Guaranteed: this node keeps having sessions with every connected peer, however they end: one at a time with each, and a bounded
 * number in total. Sessions that others open never take a place from this node's own. A peer that breaks the rules is reported
 * to the transport and delays no session with another peer.
 * Not guaranteed: that a peer tells the truth. Only peers that have the records can expose a peer that hides them.
 *
 * If two nodes open a session with each other at once, the session of the smaller peer id (as text) continues. The other one is
 * refused as `busy`, which does not count as a failure.
 */
import { backOffMs } from '../platform/back-off.ts'
import type { RecordId } from '../record/types.ts'
import { BulkLease, memoryMark } from './bootstrap.ts'
import { decideCall } from './call-order.ts'
import { SyncError, type RefusalCode } from './errors.ts'
import { createGaps } from './gaps.ts'
import type { PeerSyncHealth } from './health.ts'
import { runFetch, runInitiator } from './initiator.ts'
import { DEFAULT_SYNC_LIMITS, inboundShares } from './limits.ts'
import { PeerTable, type PeerState } from './peers.ts'
import { createRefusals } from './refusals.ts'
import type { ServedReport } from './responder.ts'
import { Shares } from '../shares/shares.ts'
import { AFTER_OTHER_MS, BUSY_MS, CONNECT_MS, createSessionTimers, FULL_MS, NUDGE_MS } from './session-timers.ts'
import { createSessionRunner, type Ended, type SessionRun } from './session-runner.ts'
import type { SessionProgress, SessionReport } from './session.ts'
import { takingTurns } from './turns.ts'
import type { Sync, SyncComponents, SyncOptions } from './sync.ts'
import type { FrameStream } from './types.ts'

export function createSync(components: SyncComponents, options: SyncOptions): Sync {
  const { source, transport, environment, logger, metrics, mark = memoryMark() } = components
  const limits = { ...DEFAULT_SYNC_LIMITS, ...options.limits }
  const table = new PeerTable(environment.clock)
  const timers = createSessionTimers(environment, limits.intervalMs, due)
  const refusals = createRefusals(environment.clock, undefined, components.isClosed)
  /** Peers whose session is due, and that wait for a free one. */
  const waiting = new Set<PeerState>()
  /** Sessions that peers open, divided between hosts; the longest session of a host is evicted first. */
  const shares = new Shares(inboundShares(limits.inbound))
  const sessions = new Set<Promise<unknown>>()
  const runner = createSessionRunner({
    ...components,
    sourceFor: takingTurns(source, environment),
    network: options.network,
    scope: options.scope ?? (() => 'all'),
    limits,
    refusals,
    mark,
    lease: new BulkLease(environment.timers),
    onLong: serveWaiting,
  })
  const gaps = createGaps(
    {
      source,
      environment,
      refusals,
      free: () => table.connected().filter((peer) => !peer.isBusy && peer.health.failures === 0),
      brought: runner.accepted,
      fetch,
    },
    limits.missingMs,
  )
  let turns = 0
  let comparisons = 0
  let failures = 0
  let stopListening = (): void => {}
  let isRunning = false
  metrics.gauge('sync_sessions', 'Sync sessions under way.', () => sessions.size)
  metrics.gauge('sync_refused_ids', 'Ids that were refused and are not asked for.', () => refusals.size)
  metrics.counter('sync_records_in_total', 'New records that sync delivered.', runner.accepted)
  metrics.counter('sync_records_out_total', 'Records that sync sent.', runner.sent)
  metrics.counter('sync_comparisons_total', 'Comparisons that this node began and ended.', () => comparisons)
  metrics.counter('sync_failures_total', 'Sync sessions that failed.', () => failures)

  function start(): void {
    if (isRunning) return
    isRunning = true
    const disconnected = (id: string): void => leave(table.get(id), 'The peer is gone.')
    stopListening = transport.listen({ stream: called, connected, disconnected })
    for (const id of transport.peers()) connected(id)
  }

  async function stop(): Promise<void> {
    isRunning = false
    stopListening()
    gaps.stop()
    waiting.clear()
    for (const peer of table.all()) leave(peer, 'This node stops.')
    while (sessions.size > 0) await Promise.all(sessions)
  }

  function nudge(): void {
    for (const peer of table.connected()) {
      if (peer.isBusy) peer.isNudged = true
      else if (peer.health.failures === 0 && !waiting.has(peer) && !peer.isNudged) {
        peer.isNudged = true
        timers.armBetween(peer, NUDGE_MS)
      }
    }
  }

  function missing(ids: readonly RecordId[]): void {
    if (isRunning) gaps.add(ids)
  }

  function peers(): PeerSyncHealth[] {
    return table.connected().map((peer) => peer.health.show(peer.id, waiting.has(peer)))
  }

  function connected(id: string): void {
    const peer = table.get(id)
    if (peer.isConnected || !isRunning) return
    peer.isConnected = true
    timers.armBetween(peer, isFirst(id) ? CONNECT_MS.first : CONNECT_MS.second)
  }

  function leave(peer: PeerState, why: string): void {
    peer.isConnected = false
    peer.isNudged = false
    timers.cancel(peer)
    waiting.delete(peer)
    for (const running of [peer.outbound, peer.inbound]) running?.controller.abort(new SyncError('stopped', why))
  }

  function due(peer: PeerState): void {
    // Whatever session there is looks for the next one when it ends.
    if (peer.isBusy) return
    waiting.add(peer)
    serveWaiting()
  }

  function serveWaiting(): void {
    const hostOf = (peer: string): string => transport.hostOf(peer).key
    for (;;) {
      const { call, end } = decideCall(waiting, table.all(), hostOf, limits.outbound)
      // It goes on where it was, once it is its turn again.
      end?.outbound?.controller.abort(new SyncError('out_of_time', 'Others wait for their turn.'))
      if (call === undefined) return
      waiting.delete(call)
      if (call.isBusy) continue
      turns += 1
      call.lastTurn = turns
      track(reconcile(call))
    }
  }

  function track(session: Promise<unknown>): void {
    const tracked = session
      .catch((error: unknown) => logger.error({ err: error }, 'a sync session ended badly'))
      .finally(() => sessions.delete(tracked))
    sessions.add(tracked)
  }

  async function reconcile(peer: PeerState): Promise<void> {
    peer.isNudged = false
    const { result, progress } = await open(peer, (parts, stream) => runInitiator(parts, stream))
    if (result === undefined) return
    noteReport(peer, result, progress)
    timers.armInterval(peer)
  }

  async function fetch(peer: PeerState, ids: readonly Uint8Array[]): Promise<void> {
    if (!isRunning || peer.isBusy) return
    const ended = open(peer, (parts, stream) => runFetch(parts, stream, ids))
    track(ended)
    const { result } = await ended
    if (result === undefined) return
    logger.debug({ peer: peer.id, asked: ids.length, ...result }, 'asked for missing records')
    if (peer.cancelDue === null) timers.armBetween(peer, AFTER_OTHER_MS)
  }

  /** Opens a session and runs it. Where it fails, the next one is arranged for. */
  async function open<T>(peer: PeerState, run: SessionRun<T>): Promise<Ended<T>> {
    // This node's own sessions read the store directly. Those that others open take turns.
    const ended = await runner.call(peer, (parts, stream) => run({ ...parts, source }, stream))
    if (ended.error === undefined) peer.health.finished()
    else noteFailure(peer, ended.error, ended.progress)
    serveWaiting()
    return ended
  }

  function noteReport(peer: PeerState, report: SessionReport, { recordsIn, recordsOut }: SessionProgress): void {
    comparisons += 1
    const { outcome, differences, refusedHere, refusedThere } = report
    const counts = { differences, refused_here: refusedHere, refused_there: refusedThere }
    peer.health.reconciled({ role: 'initiator', outcome, ...counts })
    const line = { peer: peer.id, outcome, ...counts, records_in: recordsIn, records_out: recordsOut }
    logger.debug(line, 'sync ended')
  }

  /** A session that this node opened has failed: when the next one is due. */
  function noteFailure(peer: PeerState, error: SyncError, progress: SessionProgress): void {
    const { code, refusal } = error
    if (!isRunning || !peer.isConnected) return
    punish(peer, error)
    if (refusal === 'busy') {
      // The peer has a session with this node, or had one just now.
      if (peer.inbound === null && peer.cancelDue === null) timers.armBetween(peer, BUSY_MS)
      return
    }
    // It was gone, and is back.
    if (code === 'stopped') return timers.armBetween(peer, CONNECT_MS.second)
    if (refusal === 'full') return timers.armBetween(peer, FULL_MS)
    if (refusal === 'reversed' || refusal === 'stopping') return timers.armInterval(peer)
    if (code === 'elsewhere') return timers.armBetween(peer, FULL_MS)
    const gotSomewhere = progress.done > 0
    failures += 1
    peer.health.failed(refusal ?? code, !gotSomewhere)
    const { backoffMs, maxBackoffMs } = limits
    const isForeign = refusal === 'wrong_network' || refusal === 'unsupported_version'
    const waitMs = backOffMs(Math.max(0, peer.health.failures - 1), backoffMs, maxBackoffMs)
    const delayMs = isForeign ? maxBackoffMs : waitMs
    const line = { peer: peer.id, code: refusal ?? code, failures: peer.health.failures }
    // The store says itself what is wrong with it.
    const level = transport.isConfigured(peer.id) ? 'warn' : 'debug'
    if (code === 'failed') logger[level]({ ...line, err: error }, 'sync failed on this node; it tries again')
    else logger.debug(line, `sync failed: ${error.message}`)
    timers.armAbout(peer, delayMs)
  }

  function punish(peer: PeerState, { code, blame, message }: SyncError): void {
    if (!blame) return
    logger.debug({ peer: peer.id, code }, `a peer broke the rules of sync: ${message}`)
    transport.penalize(peer.id, code)
  }

  /** A peer opened a session. */
  function called(id: string, stream: FrameStream): void {
    connected(id)
    const peer = table.get(id)
    const refusal = objection(peer)
    if (refusal !== undefined) return track(runner.refuse(stream, refusal))
    const why = new SyncError('out_of_time', 'Others wait for their turn.')
    const hold = shares.take(transport.hostOf(id), 1, () => peer.inbound?.controller.abort(why))
    if (typeof hold === 'string') return track(runner.refuse(stream, 'full'))
    track(serve(peer, stream).finally(() => hold.release()))
  }

  function objection(peer: PeerState): RefusalCode | undefined {
    if (!isRunning) return 'stopping'
    const { outbound, inbound, id } = peer
    if (inbound !== null || !peer.mayCall()) return 'busy'
    const isOurs = outbound !== null && (outbound.progress.phase !== 'opening' || isFirst(id))
    return isOurs ? 'busy' : undefined
  }

  function isFirst(id: string): boolean {
    return transport.localPeer < id
  }

  async function serve(peer: PeerState, stream: FrameStream): Promise<void> {
    const { result, error, progress } = await runner.serve(peer, stream)
    if (error !== undefined && isRunning && peer.isConnected) punish(peer, error)
    noteServed(peer, progress, result)
  }

  function noteServed(peer: PeerState, progress: SessionProgress, served: ServedReport | undefined): void {
    if (served?.refused === 'reversed') return timers.arm(peer, 0)
    if (served?.purpose === 'reconcile' && served.isEqual) {
      peer.health.finished()
      const differences = progress.done
      const nothing = { refused_here: 0, refused_there: 0 }
      peer.health.reconciled({ role: 'responder', outcome: 'equal', differences, ...nothing })
      // Nothing is left for a session of our own.
      waiting.delete(peer)
      return timers.armInterval(peer)
    }
    if (peer.cancelDue === null && peer.outbound === null && !waiting.has(peer)) {
      timers.armBetween(peer, AFTER_OTHER_MS)
    }
  }

  return { start, stop, nudge, missing, policyChanged: refusals.clear, peers }
}
