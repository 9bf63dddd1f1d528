import type { Ingest } from '../ingest/types.ts'
import type { Clock, Environment } from '../platform/environment.ts'
import type { Keccak256 } from '../record/id.ts'
import type { Source } from '../shares/types.ts'
import type { BootstrapMark, BulkLease } from './bootstrap.ts'
import { createChannel, type Channel } from './channel.ts'
import { asSyncError, SyncError } from './errors.ts'
import type { Frame } from './frame-types.ts'
import { NegentropyError, type NegentropyOptions } from '../negentropy/negentropy.ts'
import { Intake } from './intake.ts'
import { MAX_NEGENTROPY_BYTES, type SyncLimits } from './limits.ts'
import { createRefusals, type Refusals } from './refusals.ts'
import type { Scope, SyncSource } from '../store/types.ts'
import type { FrameStream } from './types.ts'

/** The result of a finished session for both sides (docs/protocol.md, "Sync"). */
export type SyncOutcome = 'equal' | 'equal_except_refused' | 'different'

/** The current activity of a session. */
export type SyncPhase = 'opening' | 'reconciling' | 'bootstrapping' | 'fetching' | 'serving'

/** The progress of a session. The session writes it, others read it. */
export interface SessionProgress {
  phase: SyncPhase
  /** Records moved in both directions, of `total` where that is known. */
  done: number
  total: number | null
  recordsIn: number
  recordsOut: number
  bytesIn: number
  bytesOut: number
  /** New to this node. */
  accepted: number
}

export function newProgress(): SessionProgress {
  return { phase: 'opening', done: 0, total: null, recordsIn: 0, recordsOut: 0, bytesIn: 0, bytesOut: 0, accepted: 0 }
}

/** State that is kept for one peer between sessions; bounded. */
export interface PeerMemory {
  /** Ids that the peer refused. */
  readonly refusedThere: Refusals
  /** Ids that the peer claims and did not deliver. */
  readonly undelivered: Refusals
  /** Sessions in a row in which it withheld too much. */
  withheld: number
  /** Whether a bulk stream from it has run to its end. */
  bulkDone: boolean
  /** Where the last list for this peer ended, if the scope has more avatars than a list may. */
  listedUpTo: number
}

/** Most ids remembered for one peer, of each kind. */
const PEER_REFUSALS = 8_192

export function newPeerMemory(clock: Clock): PeerMemory {
  const refusedThere = createRefusals(clock, PEER_REFUSALS)
  const undelivered = createRefusals(clock, PEER_REFUSALS)
  return { refusedThere, undelivered, withheld: 0, bulkDone: false, listedUpTo: 0 }
}

/** The parts that a session uses. */
export interface SessionParts {
  readonly ingest: Pick<Ingest, 'submit'>
  readonly environment: Environment
  /** Computes ids; the signature engine's is the fastest. */
  readonly keccak256: Keccak256
  readonly peer: string
  /** The host of the peer. */
  readonly host: Source
  readonly source: SyncSource
  /** Name of the network that records are of. */
  readonly network: string
  readonly scope: Scope
  readonly limits: SyncLimits
  /** Of the node. */
  readonly refusals: Refusals
  readonly memory: PeerMemory
  readonly mark: BootstrapMark
  readonly lease: BulkLease
  readonly progress: SessionProgress
  /** Ends the session; its reason is a `SyncError`. */
  readonly signal: AbortSignal
}

/** The totals of a completed session. */
export interface SessionReport {
  readonly outcome: SyncOutcome
  /** Ids that only one side had when the session began. */
  readonly differences: number
  /** Ids that still differ because this node refused them, or the peer did. */
  readonly refusedHere: number
  readonly refusedThere: number
}

/** Ids of this node's that are named at once; more are asked for again. */
const MAX_HAVE_PER_MESSAGE = 8_192
/** Most messages in one pass; with the largest ones about 16 million ids. */
const MAX_ROUNDS = 8_192

export function negentropyOptions({ environment }: Pick<SessionParts, 'environment'>): NegentropyOptions {
  return {
    frameSizeLimit: MAX_NEGENTROPY_BYTES,
    maxMessageBytes: MAX_NEGENTROPY_BYTES,
    maxHavePerMessage: MAX_HAVE_PER_MESSAGE,
    maxRounds: MAX_ROUNDS,
    random: environment.random,
  }
}

/** A session on an open stream. */
export interface Session {
  readonly parts: SessionParts
  readonly channel: Channel
  readonly intake: Intake
}

/**
 * Runs one side of a session on a stream, bounded in time. Aborts the stream if the session fails. Records that were received
 * are settled when it returns.
 *
 * @throws SyncError for every failure
 */
export async function withSession<T>(
  parts: SessionParts,
  stream: FrameStream,
  run: (session: Session) => Promise<T>,
): Promise<T> {
  const { environment, limits, progress, signal } = parts
  const { timers } = environment
  const channel = createChannel(stream, {
    timers,
    stallMs: limits.stallMs,
    count(direction, bytes) {
      if (direction === 'in') progress.bytesIn += bytes
      else progress.bytesOut += bytes
    },
  })
  const intake = new Intake(parts, (error) => channel.fail(error))
  const stop = (): void => channel.fail(reasonOf(signal))
  const cancel = timers.after(limits.sessionMs, () => {
    const isFruitless = progress.accepted + progress.recordsOut === 0
    const message = `The session took longer than ${Math.round(limits.sessionMs / 1_000)} s; the next one goes on.`
    channel.fail(new SyncError('out_of_time', message, { blame: isFruitless }))
  })
  signal.addEventListener('abort', stop)
  try {
    if (signal.aborted) stop()
    return await run({ parts, channel, intake }).finally(() => {
      intake.stop(new SyncError('stopped', 'The session is over.'))
      return intake.settled()
    })
  } catch (error) {
    const failure = asSyncError(error)
    channel.fail(failure)
    // What broke the stream comes before what that led to.
    throw channel.failure ?? failure
  } finally {
    cancel()
    signal.removeEventListener('abort', stop)
  }
}

function reasonOf(signal: AbortSignal): SyncError {
  const reason: unknown = signal.reason
  return reason instanceof SyncError ? reason : new SyncError('stopped', 'This node ends the session.')
}

export function unexpected(frame: Frame): SyncError {
  return new SyncError('unexpected_frame', `A frame of kind ${frame.kind} came where it has no place.`)
}

export function fromNegentropy(error: unknown): unknown {
  if (!(error instanceof NegentropyError)) return error
  const isOurs = error.code === 'wrong_call' || error.code === 'invalid_option' || error.code === 'invalid_item'
  return new SyncError(isOurs ? 'failed' : 'negentropy', error.message, { cause: error })
}
