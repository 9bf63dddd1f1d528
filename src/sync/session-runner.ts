import { messageOf } from '../platform/errors.ts'
import type { Environment } from '../platform/environment.ts'
import type { Ingest } from '../ingest/types.ts'
import type { Logger } from '../observe/types.ts'
import type { Keccak256 } from '../record/id.ts'
import { Channel } from './channel.ts'
import { asSyncError, SyncError, type RefusalCode } from './errors.ts'
import type { SyncRole } from './health.ts'
import type { SyncLimits } from './limits.ts'
import type { PeerState, Running } from './peers.ts'
import { runResponder, type ServedReport } from './responder.ts'
import { newProgress, type SessionParts, type SessionProgress } from './session.ts'
import type { Scope, SyncSource } from '../store/types.ts'
import type { FrameStream, SyncTransport } from './types.ts'

export interface RunnerComponents {
  /** The source of a session, by the key of the peer's host. */
  readonly sourceFor: (host: string) => SyncSource
  readonly ingest: Pick<Ingest, 'submit'>
  readonly transport: Pick<SyncTransport, 'open' | 'hostOf' | 'isConfigured'>
  readonly environment: Environment
  readonly logger: Logger
  readonly keccak256: Keccak256
}

/** The end of a session: a result or an error. */
export interface Ended<T> {
  readonly result?: T
  readonly error?: SyncError
  readonly progress: SessionProgress
}

export type SessionRun<T> = (parts: SessionParts, stream: FrameStream) => Promise<T>

/** Runs sessions: opens streams, counts, logs, and tracks the current session with each peer. Never throws. */
export class SessionRunner {
  readonly #components: RunnerComponents
  readonly #options: { readonly network: string; readonly scope: () => Scope; readonly limits: SyncLimits }
  readonly #shared: Pick<SessionParts, 'refusals' | 'mark' | 'lease'>
  readonly #onLong: () => void
  readonly #running = new Set<SessionProgress>()
  #accepted = 0
  #sent = 0

  constructor(
    components: RunnerComponents,
    options: { readonly network: string; readonly scope: () => Scope; readonly limits: SyncLimits },
    shared: Pick<SessionParts, 'refusals' | 'mark' | 'lease'>,
    /** Told when a session has had its turn. */
    onLong: () => void,
  ) {
    this.#onLong = onLong
    this.#components = components
    this.#options = options
    this.#shared = shared
  }

  /** Records that were new to this node. */
  accepted(): number {
    return [...this.#running].reduce((sum, { accepted }) => sum + accepted, this.#accepted)
  }

  /** Records that were sent. */
  sent(): number {
    return [...this.#running].reduce((sum, { recordsOut }) => sum + recordsOut, this.#sent)
  }

  /** Opens a stream to a peer and runs a session on it. */
  async call<T>(peer: PeerState, run: SessionRun<T>): Promise<Ended<T>> {
    const running = newRunning()
    peer.outbound = running
    const cancel = this.#components.environment.timers.after(this.#options.limits.turnMs, () => {
      running.isLong = true
      this.#onLong()
    })
    const ended = await this.#run(peer, running, 'initiator', async (parts) =>
      run(parts, await this.#open(peer, running)),
    )
    cancel()
    peer.outbound = null
    return ended
  }

  /** Serves the session that a peer opened. */
  async serve(peer: PeerState, stream: FrameStream): Promise<Ended<ServedReport>> {
    const running = newRunning()
    peer.inbound = running
    const ended = await this.#run(peer, running, 'responder', (parts) => runResponder(parts, stream))
    peer.inbound = null
    return ended
  }

  /** Refuses a session without reading it. */
  async refuse(stream: FrameStream, code: RefusalCode): Promise<void> {
    const { timers } = this.#components.environment
    const channel = new Channel(stream, { timers, stallMs: this.#options.limits.openMs, count: () => {} })
    try {
      await channel.send({ kind: 'refusal', code })
      await channel.close()
    } catch {
      // The peer did not wait for it.
    }
  }

  async #open(peer: PeerState, { controller }: Running): Promise<FrameStream> {
    const { transport, environment } = this.#components
    const opening = new AbortController()
    const give = (): void => opening.abort(controller.signal.reason)
    controller.signal.addEventListener('abort', give)
    const cancel = environment.timers.after(this.#options.limits.openMs, () => {
      opening.abort(new SyncError('stalled', 'Opening a stream took too long.', { blame: false }))
    })
    try {
      return await transport.open(peer.id, opening.signal)
    } catch (error) {
      const why = messageOf(error)
      throw new SyncError('broken', `No stream could be opened: ${why}`, { cause: error })
    } finally {
      cancel()
      controller.signal.removeEventListener('abort', give)
    }
  }

  async #run<T>(
    peer: PeerState,
    { controller, progress }: Running,
    role: SyncRole,
    run: (parts: SessionParts) => Promise<T>,
  ): Promise<Ended<T>> {
    const { network, scope, limits } = this.#options
    const { sourceFor, ingest, environment, keccak256, transport } = this.#components
    const host = transport.hostOf(peer.id)
    const source = sourceFor(host.key)
    const unlog = this.#log(peer, progress, role)
    this.#running.add(progress)
    peer.health.began(progress, role)
    try {
      const result = await run({
        ...{ peer: peer.id, source, ingest, environment, keccak256, network, limits, progress },
        ...this.#shared,
        host,
        scope: scope(),
        memory: peer.memory,
        signal: controller.signal,
      })
      return { result, progress }
    } catch (error) {
      return { error: asSyncError(error), progress }
    } finally {
      unlog()
      this.#running.delete(progress)
      peer.health.ended(progress)
      this.#accepted += progress.accepted
      this.#sent += progress.recordsOut
    }
  }

  /** Logs the progress of a long session. */
  #log(peer: PeerState, progress: SessionProgress, role: SyncRole): () => void {
    const { logger, environment, transport } = this.#components
    const { progressMs } = this.#options.limits
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
}

function newRunning(): Running {
  return { controller: new AbortController(), progress: newProgress(), isLong: false }
}
