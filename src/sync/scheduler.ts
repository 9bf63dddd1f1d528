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
import { Gaps } from './gaps.ts'
import type { PeerSyncHealth } from './health.ts'
import { runFetch, runInitiator } from './initiator.ts'
import { DEFAULT_SYNC_LIMITS, inboundShares, type SyncLimits } from './limits.ts'
import { PeerTable, type PeerState } from './peers.ts'
import { createRefusals, type Refusals } from './refusals.ts'
import type { ServedReport } from './responder.ts'
import { Shares } from '../shares/shares.ts'
import { AFTER_OTHER_MS, BUSY_MS, CONNECT_MS, FULL_MS, NUDGE_MS, SessionTimers } from './session-timers.ts'
import { SessionRunner, type Ended, type SessionRun } from './session-runner.ts'
import type { SessionProgress, SessionReport } from './session.ts'
import { takingTurns } from './turns.ts'
import type { Sync, SyncComponents, SyncOptions } from './sync.ts'
import type { FrameStream } from './types.ts'

export function createSync(components: SyncComponents, options: SyncOptions): Sync {
  return new Scheduler(components, options)
}

class Scheduler implements Sync {
  readonly #components: SyncComponents
  readonly #limits: SyncLimits
  readonly #table: PeerTable
  readonly #gaps: Gaps
  readonly #timers: SessionTimers
  readonly #refusals: Refusals
  /** Peers whose session is due, but has no place yet. */
  readonly #waiting = new Set<PeerState>()
  /** Places of sessions that peers open, divided between hosts; the longest session of a host goes first. */
  readonly #inbound: Shares
  readonly #sessions = new Set<Promise<unknown>>()
  readonly #runner: SessionRunner
  #turns = 0
  #comparisons = 0
  #failures = 0
  #unsubscribe: (() => void)[] = []
  #isRunning = false

  constructor(components: SyncComponents, options: SyncOptions) {
    const { source, environment, metrics, mark = memoryMark() } = components
    this.#components = components
    this.#limits = { ...DEFAULT_SYNC_LIMITS, ...options.limits }
    this.#inbound = new Shares(inboundShares(this.#limits.inbound))
    this.#table = new PeerTable(environment.clock)
    this.#timers = new SessionTimers(environment, this.#limits.intervalMs, (peer) => this.#due(peer))
    const refusals = createRefusals(environment.clock)
    this.#refusals = refusals
    this.#runner = new SessionRunner(
      { ...components, sourceFor: takingTurns(source, environment) },
      { network: options.network, scope: options.scope ?? (() => 'all'), limits: this.#limits },
      { refusals, mark, lease: new BulkLease(environment.timers) },
      () => this.#serveWaiting(),
    )
    this.#gaps = new Gaps(
      {
        source,
        environment,
        refusals,
        free: () => this.#table.connected().filter((peer) => !peer.isBusy && peer.health.failures === 0),
        brought: () => this.#runner.accepted(),
        fetch: (peer, ids) => this.#fetch(peer, ids),
      },
      this.#limits.missingMs,
    )
    metrics.gauge('sync_sessions', 'Sync sessions under way.', () => this.#sessions.size)
    metrics.gauge('sync_refused_ids', 'Ids that were refused and are not asked for.', () => refusals.size)
    metrics.counter('sync_records_in_total', 'New records that sync delivered.', () => this.#runner.accepted())
    metrics.counter('sync_records_out_total', 'Records that sync sent.', () => this.#runner.sent())
    metrics.counter('sync_comparisons_total', 'Comparisons that this node began and ended.', () => this.#comparisons)
    metrics.counter('sync_failures_total', 'Sync sessions that failed.', () => this.#failures)
  }

  start(): void {
    if (this.#isRunning) return
    const { transport } = this.#components
    this.#isRunning = true
    this.#unsubscribe = [
      transport.onStream((id, stream) => this.#called(id, stream)),
      transport.onConnect((id) => this.#connected(id)),
      transport.onDisconnect((id) => this.#leave(this.#table.get(id), 'The peer is gone.')),
    ]
    for (const id of transport.peers()) this.#connected(id)
  }

  async stop(): Promise<void> {
    this.#isRunning = false
    for (const unsubscribe of this.#unsubscribe.splice(0)) unsubscribe()
    this.#gaps.stop()
    this.#waiting.clear()
    for (const peer of this.#table.all()) this.#leave(peer, 'This node stops.')
    while (this.#sessions.size > 0) await Promise.all(this.#sessions)
  }

  nudge(): void {
    for (const peer of this.#table.connected()) {
      if (peer.isBusy) peer.isNudged = true
      else if (peer.health.failures === 0 && !this.#waiting.has(peer) && !peer.isNudged) {
        peer.isNudged = true
        this.#timers.armBetween(peer, NUDGE_MS)
      }
    }
  }

  missing(ids: readonly RecordId[]): void {
    if (this.#isRunning) this.#gaps.add(ids)
  }

  policyChanged(): void {
    this.#refusals.clear()
  }

  peers(): PeerSyncHealth[] {
    return this.#table.connected().map((peer) => peer.health.show(peer.id, this.#waiting.has(peer)))
  }

  #connected(id: string): void {
    const peer = this.#table.get(id)
    if (peer.isConnected || !this.#isRunning) return
    peer.isConnected = true
    this.#timers.armBetween(peer, this.#isFirst(id) ? CONNECT_MS.first : CONNECT_MS.second)
  }

  #leave(peer: PeerState, why: string): void {
    peer.isConnected = false
    peer.isNudged = false
    this.#timers.cancel(peer)
    this.#waiting.delete(peer)
    for (const running of [peer.outbound, peer.inbound]) running?.controller.abort(new SyncError('stopped', why))
  }

  #due(peer: PeerState): void {
    // Whatever session there is looks for the next one when it ends.
    if (peer.isBusy) return
    this.#waiting.add(peer)
    this.#serveWaiting()
  }

  #serveWaiting(): void {
    const { transport } = this.#components
    const hostOf = (peer: string): string => transport.hostOf(peer).key
    for (;;) {
      const { call, end } = decideCall(this.#waiting, this.#table.all(), hostOf, this.#limits.outbound)
      // It goes on where it was, once it is its turn again.
      end?.outbound?.controller.abort(new SyncError('out_of_time', 'Others wait for their turn.'))
      if (call === undefined) return
      this.#waiting.delete(call)
      if (call.isBusy) continue
      this.#turns += 1
      call.lastTurn = this.#turns
      this.#track(this.#reconcile(call))
    }
  }

  #track(session: Promise<unknown>): void {
    const tracked = session
      .catch((error: unknown) => this.#components.logger.error({ err: error }, 'a sync session ended badly'))
      .finally(() => this.#sessions.delete(tracked))
    this.#sessions.add(tracked)
  }

  async #reconcile(peer: PeerState): Promise<void> {
    peer.isNudged = false
    const { result, progress } = await this.#call(peer, (parts, stream) => runInitiator(parts, stream))
    if (result === undefined) return
    this.#noteReport(peer, result, progress)
    this.#timers.armInterval(peer)
  }

  async #fetch(peer: PeerState, ids: readonly Uint8Array[]): Promise<void> {
    if (!this.#isRunning || peer.isBusy) return
    const ended = this.#call(peer, (parts, stream) => runFetch(parts, stream, ids))
    this.#track(ended)
    const { result } = await ended
    if (result === undefined) return
    this.#components.logger.debug({ peer: peer.id, asked: ids.length, ...result }, 'asked for missing records')
    if (peer.cancelDue === null) this.#timers.armBetween(peer, AFTER_OTHER_MS)
  }

  /** Opens a session and runs it. Where it fails, the next one is arranged for. */
  async #call<T>(peer: PeerState, run: SessionRun<T>): Promise<Ended<T>> {
    // Sessions of this node's own wait for none that others open.
    const { source } = this.#components
    const ended = await this.#runner.call(peer, (parts, stream) => run({ ...parts, source }, stream))
    if (ended.error === undefined) peer.health.finished()
    else this.#noteFailure(peer, ended.error, ended.progress)
    this.#serveWaiting()
    return ended
  }

  #noteReport(peer: PeerState, report: SessionReport, { recordsIn, recordsOut }: SessionProgress): void {
    this.#comparisons += 1
    const { outcome, differences, refusedHere, refusedThere } = report
    const counts = { differences, refused_here: refusedHere, refused_there: refusedThere }
    peer.health.reconciled({ role: 'initiator', outcome, ...counts })
    const line = { peer: peer.id, outcome, ...counts, records_in: recordsIn, records_out: recordsOut }
    this.#components.logger.debug(line, 'sync ended')
  }

  /** A session that this node opened has failed: when the next one is due. */
  #noteFailure(peer: PeerState, error: SyncError, progress: SessionProgress): void {
    const { code, refusal } = error
    if (!this.#isRunning || !peer.isConnected) return
    this.#blame(peer, error)
    if (refusal === 'busy') {
      // The peer has a session with this node, or had one just now.
      if (peer.inbound === null && peer.cancelDue === null) this.#timers.armBetween(peer, BUSY_MS)
      return
    }
    // It was gone, and is back.
    if (code === 'stopped') return this.#timers.armBetween(peer, CONNECT_MS.second)
    if (refusal === 'full') return this.#timers.armBetween(peer, FULL_MS)
    if (refusal === 'reversed' || refusal === 'stopping') return this.#timers.armInterval(peer)
    if (code === 'elsewhere') return this.#timers.armBetween(peer, FULL_MS)
    const gotSomewhere = progress.done > 0
    this.#failures += 1
    peer.health.failed(refusal ?? code, !gotSomewhere)
    const { backoffMs, maxBackoffMs } = this.#limits
    const isForeign = refusal === 'wrong_network' || refusal === 'unsupported_version'
    const waitMs = backOffMs(Math.max(0, peer.health.failures - 1), backoffMs, maxBackoffMs)
    const delayMs = isForeign ? maxBackoffMs : waitMs
    const line = { peer: peer.id, code: refusal ?? code, failures: peer.health.failures }
    const { logger, transport } = this.#components
    // The store says itself what is wrong with it.
    const level = transport.isConfigured(peer.id) ? 'warn' : 'debug'
    if (code === 'failed') logger[level]({ ...line, err: error }, 'sync failed on this node; it tries again')
    else logger.debug(line, `sync failed: ${error.message}`)
    this.#timers.armAbout(peer, delayMs)
  }

  #blame(peer: PeerState, { code, blame, message }: SyncError): void {
    if (!blame) return
    this.#components.logger.debug({ peer: peer.id, code }, `a peer broke the rules of sync: ${message}`)
    this.#components.transport.penalize(peer.id, code)
  }

  /** A peer opened a session. */
  #called(id: string, stream: FrameStream): void {
    this.#connected(id)
    const peer = this.#table.get(id)
    const refusal = this.#objection(peer)
    if (refusal !== undefined) return this.#track(this.#runner.refuse(stream, refusal))
    const why = new SyncError('out_of_time', 'Others wait for their turn.')
    const hold = this.#inbound.take(this.#components.transport.hostOf(id), 1, () => peer.inbound?.controller.abort(why))
    if (typeof hold === 'string') return this.#track(this.#runner.refuse(stream, 'full'))
    this.#track(this.#serve(peer, stream).finally(() => hold.release()))
  }

  #objection(peer: PeerState): RefusalCode | undefined {
    if (!this.#isRunning) return 'stopping'
    const { outbound, inbound, id } = peer
    if (inbound !== null || !peer.mayCall()) return 'busy'
    const isOurs = outbound !== null && (outbound.progress.phase !== 'opening' || this.#isFirst(id))
    return isOurs ? 'busy' : undefined
  }

  #isFirst(id: string): boolean {
    return this.#components.transport.localPeer < id
  }

  async #serve(peer: PeerState, stream: FrameStream): Promise<void> {
    const { result, error, progress } = await this.#runner.serve(peer, stream)
    if (error !== undefined && this.#isRunning && peer.isConnected) this.#blame(peer, error)
    this.#noteServed(peer, progress, result)
  }

  #noteServed(peer: PeerState, progress: SessionProgress, served: ServedReport | undefined): void {
    if (served?.refused === 'reversed') return this.#timers.arm(peer, 0)
    if (served?.purpose === 'reconcile' && served.isEqual) {
      peer.health.finished()
      const differences = progress.done
      const nothing = { refused_here: 0, refused_there: 0 }
      peer.health.reconciled({ role: 'responder', outcome: 'equal', differences, ...nothing })
      // Nothing is left for a session of our own.
      this.#waiting.delete(peer)
      return this.#timers.armInterval(peer)
    }
    if (peer.cancelDue === null && peer.outbound === null && !this.#waiting.has(peer)) {
      this.#timers.armBetween(peer, AFTER_OTHER_MS)
    }
  }
}
