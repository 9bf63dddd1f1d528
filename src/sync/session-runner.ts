import { messageOf } from '../platform/errors.ts'
import { createChannel } from './channel.ts'
import { asSyncError, SyncError, type RefusalCode } from './errors.ts'
import type { SyncRole } from './health.ts'
import type { PeerState, Running } from './peers.ts'
import { runResponder, type ServedReport } from './responder.ts'
import { newProgress, type SessionParts, type SessionProgress } from './session.ts'
import type { Scope, SyncSource } from '../store/types.ts'
import type { SyncComponents } from './sync.ts'
import type { FrameStream } from './types.ts'

export interface RunnerComponents
  extends
    Pick<SyncComponents, 'ingest' | 'transport' | 'environment' | 'logger' | 'keccak256'>,
    Pick<SessionParts, 'network' | 'limits' | 'refusals' | 'mark' | 'lease'> {
  /** The source of a session, by the key of the peer's host. */
  readonly sourceFor: (host: string) => SyncSource
  readonly scope: () => Scope
  /** Called when a session has had its turn. */
  readonly onLong: () => void
}

/** The end of a session: a result or an error. */
export interface Ended<T> {
  readonly result?: T
  readonly error?: SyncError
  readonly progress: SessionProgress
}

export type SessionRun<T> = (parts: SessionParts, stream: FrameStream) => Promise<T>

/** Runs sessions: opens streams, counts, logs, and tracks the current session with each peer. Never throws. */
export function createSessionRunner(components: RunnerComponents) {
  const { sourceFor, ingest, transport, environment, logger, keccak256, network, limits } = components
  const { refusals, mark, lease, scope, onLong } = components
  const active = new Set<SessionProgress>()
  /** Totals of the sessions that have ended. */
  const ended = { accepted: 0, recordsOut: 0 }

  function totalOf(count: 'accepted' | 'recordsOut'): number {
    return [...active].reduce((sum, progress) => sum + progress[count], ended[count])
  }

  /** Opens a stream to a peer and runs a session on it. */
  async function call<T>(peer: PeerState, run: SessionRun<T>): Promise<Ended<T>> {
    const running = newRunning()
    peer.outbound = running
    const cancel = environment.timers.after(limits.turnMs, () => {
      running.isLong = true
      onLong()
    })
    const end = await track(peer, running, 'initiator', async (parts) => run(parts, await open(peer, running)))
    cancel()
    peer.outbound = null
    return end
  }

  /** Serves the session that a peer opened. */
  async function serve(peer: PeerState, stream: FrameStream): Promise<Ended<ServedReport>> {
    const running = newRunning()
    peer.inbound = running
    const end = await track(peer, running, 'responder', (parts) => runResponder(parts, stream))
    peer.inbound = null
    return end
  }

  /** Refuses a session without reading it. */
  async function refuse(stream: FrameStream, code: RefusalCode): Promise<void> {
    const channel = createChannel(stream, { timers: environment.timers, stallMs: limits.openMs, count: () => {} })
    try {
      await channel.send({ kind: 'refusal', code })
      await channel.close()
    } catch {
      // The peer did not wait for it.
    }
  }

  async function open(peer: PeerState, { controller }: Running): Promise<FrameStream> {
    const late = new AbortController()
    const cancel = environment.timers.after(limits.openMs, () => {
      late.abort(new SyncError('stalled', 'Opening a stream took too long.', { blame: false }))
    })
    try {
      return await transport.open(peer.id, AbortSignal.any([controller.signal, late.signal]))
    } catch (error) {
      throw new SyncError('broken', `No stream could be opened: ${messageOf(error)}`, { cause: error })
    } finally {
      cancel()
    }
  }

  async function track<T>(
    peer: PeerState,
    { controller, progress }: Running,
    role: SyncRole,
    run: (parts: SessionParts) => Promise<T>,
  ): Promise<Ended<T>> {
    const host = transport.hostOf(peer.id)
    const stopLogging = logProgress(peer, progress, role)
    active.add(progress)
    peer.health.began(progress, role)
    try {
      const result = await run({
        ...{ ingest, environment, keccak256, network, limits, refusals, mark, lease, progress, host },
        peer: peer.id,
        source: sourceFor(host.key),
        scope: scope(),
        memory: peer.memory,
        signal: controller.signal,
      })
      return { result, progress }
    } catch (error) {
      return { error: asSyncError(error), progress }
    } finally {
      stopLogging()
      active.delete(progress)
      peer.health.ended(progress)
      ended.accepted += progress.accepted
      ended.recordsOut += progress.recordsOut
    }
  }

  /** Logs the progress of a long session. */
  function logProgress(peer: PeerState, progress: SessionProgress, role: SyncRole): () => void {
    const { progressMs } = limits
    let cancel = environment.timers.after(progressMs, tell)
    function tell(): void {
      const { phase, done, total, recordsIn, recordsOut } = progress
      const line = { peer: peer.id, role, phase, done, total, records_in: recordsIn, records_out: recordsOut }
      const isWanted = role === 'initiator' && transport.isConfigured(peer.id)
      logger[isWanted ? 'info' : 'debug'](line, 'sync goes on')
      cancel = environment.timers.after(progressMs, tell)
    }
    return () => cancel()
  }

  return {
    /** Records that were new to this node. */
    accepted: () => totalOf('accepted'),
    /** Records that were sent. */
    sent: () => totalOf('recordsOut'),
    call,
    serve,
    refuse,
  }
}

function newRunning(): Running {
  return { controller: new AbortController(), progress: newProgress(), isLong: false }
}
