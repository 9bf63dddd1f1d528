/**
 * A host by multiaddr: sessions of the sync protocol about one avatar, between the staging store and the peer. Reconciliation
 * moves records both ways, so taking and giving are the same here.
 *
 * A comparison that ends equal shows that the peer knows the same ids. Asking it for the records on which all others rest, the
 * tips and the base, shows that it holds them. A node that does not host the avatar calls everything equal.
 */
import { messageOf } from '../platform/errors.ts'
import type { RecordId } from '../record/types.ts'
import { BulkLease, memoryMark } from '../sync/bootstrap.ts'
import { jittered } from '../platform/back-off.ts'
import { asSyncError, PEERS_FAULT, SyncError } from '../sync/errors.ts'
import { runFetch, runInitiator } from '../sync/initiator.ts'
import { DEFAULT_SYNC_LIMITS } from '../sync/limits.ts'
import { createRefusals } from '../sync/refusals.ts'
import { newPeerMemory, newProgress, type SessionParts, type SessionReport } from '../sync/session.ts'
import type { FrameStream } from '../sync/types.ts'
import { MigrateError } from './errors.ts'
import { FaultLog } from './faults.ts'
import type { CallComponents } from './host-call.ts'
import { MAX_PEER_BUSY, MAX_PEER_FAILURES, PEER_BUSY_MS } from './limits.ts'
import type { PeerLink } from './peer-link.ts'
import type { Staging } from './staging.ts'
import type { Given, Refusal, Side, AvatarStatus, Taken } from './types.ts'
import { pause, tellingOfSilence, throwIfStopped } from './wait.ts'

/** The digest of a peer that holds something else than the staging store. */
const UNKNOWN_DIGEST = 'unknown'

export function createPeerSide(
  components: CallComponents & { readonly staging: Staging },
  link: PeerLink,
  name: string,
): Side {
  const { environment, staging, progress, signal } = components
  const memory = { ...newPeerMemory(environment.clock), bulkDone: true }
  /** The staging store's last sequence at the end of the last session, and how that ended. */
  let last: { readonly sequence: number; readonly report: SessionReport } | undefined
  /** What the session under way, or the last one, has moved. */
  let moving = newProgress()
  let taken = 0
  let gave = 0

  async function take({ fromStart = false } = {}): Promise<Taken> {
    if (fromStart) forget()
    const before = taken
    const { outcome } = await reconcile()
    const status = await staging.avatarStatus()
    return { added: taken - before, digest: outcome === 'equal' ? status?.digest : UNKNOWN_DIGEST }
  }

  async function give({ fromStart = false } = {}): Promise<Given> {
    if (fromStart) forget()
    const before = { gave, taken }
    const isDone = last?.sequence === staging.reader.lastSequence()
    const { refusedThere } = isDone && !fromStart && last !== undefined ? last.report : await reconcile()
    const message = 'A peer does not say why. Use the URL of the host to see the reason.'
    const refusal: Refusal = { count: refusedThere, message, retry: true }
    const refused = new Map(refusedThere > 0 ? [['refused', refusal]] : [])
    return { added: gave - before.gave, brought: taken - before.taken, refused }
  }

  async function avatarStatus(): Promise<AvatarStatus | undefined> {
    const { outcome } = await reconcile()
    const status = await staging.avatarStatus()
    if (status === undefined) return undefined
    const ids = [...status.tips, ...(status.base === null ? [] : [status.base])].map(({ id }) => id)
    const lacking = ids.length === 0 ? 0 : await lacks(ids)
    if (ids.length > 0 && lacking === ids.length) return undefined
    // A comparison does not show what else the peer holds.
    return outcome === 'equal' && lacking === 0 ? status : { ...status, digest: UNKNOWN_DIGEST }
  }

  function forget(): void {
    memory.refusedThere.clear()
    memory.undelivered.clear()
  }

  async function reconcile(): Promise<SessionReport> {
    const report = await session((parts, stream) => runInitiator(parts, stream))
    last = { sequence: staging.reader.lastSequence(), report }
    return report
  }

  /** How many of these records the peer does not deliver. */
  async function lacks(ids: readonly RecordId[]): Promise<number> {
    const { sync } = staging
    const bytes = ids.map((id) => new Uint8Array(Buffer.from(id.slice(2), 'hex')))
    // Records that are held here are asked for too.
    const source = { ...sync, held: (all: readonly Uint8Array[]) => Promise.resolve(all.map(() => false)) }
    const { missing } = await session((parts, stream) => runFetch({ ...parts, source }, stream, bytes))
    return missing
  }

  /** Runs a session, and repeats it if the peer was busy or the connection broke. */
  function session<T>(run: (parts: SessionParts, stream: FrameStream) => Promise<T>): Promise<T> {
    const tell = (): void => {
      if (moving.accepted + moving.recordsOut === 0) progress('waiting for', name, 0)
    }
    return tellingOfSilence(environment.timers, tell, () => retry(run))
  }

  async function retry<T>(run: (parts: SessionParts, stream: FrameStream) => Promise<T>): Promise<T> {
    let failures = 0
    for (let busy = 0; ;) {
      throwIfStopped(signal)
      const moved = (moving = newProgress())
      try {
        const { peer, stream } = await open()
        return await run(partsOf(peer, moved), stream)
      } catch (caught) {
        throwIfStopped(signal)
        if (caught instanceof MigrateError) throw caught
        const error = asSyncError(caught)
        const isBusy = error.refusal === 'busy' || error.refusal === 'full' || error.refusal === 'stopping'
        if (isBusy && busy++ < MAX_PEER_BUSY) {
          await pause(environment.timers, jittered(environment.random, PEER_BUSY_MS), signal)
          continue
        }
        failures = moved.accepted + moved.recordsOut > 0 ? 0 : failures + 1
        if (isFinal(error) || failures >= MAX_PEER_FAILURES) throw explain(error)
        await pause(environment.timers, PEER_BUSY_MS * failures, signal)
      } finally {
        taken += moved.accepted
        gave += moved.recordsOut
        if (moved.accepted > 0) progress('read from', name, taken)
        if (moved.recordsOut > 0) progress('sent to', name, gave)
      }
    }
  }

  async function open(): Promise<{ peer: string; stream: FrameStream }> {
    try {
      return await link.open(signal)
    } catch (error) {
      if (error instanceof MigrateError) throw error
      throw new SyncError('broken', `no stream could be opened: ${messageOf(error)}`, { cause: error })
    }
  }

  function partsOf(peer: string, moved: SessionParts['progress']): SessionParts {
    return {
      ...{ peer, host: { key: peer }, environment, keccak256: staging.keccak256, progress: moved, signal },
      ...{ source: staging.sync, ingest: staging.ingest, network: staging.network, scope: [staging.avatar] },
      limits: DEFAULT_SYNC_LIMITS,
      refusals: createRefusals(environment.clock),
      memory,
      mark: memoryMark(),
      lease: new BulkLease(environment.timers),
    }
  }

  function explain(error: SyncError): MigrateError {
    const { code, refusal, message } = error
    if (refusal === 'wrong_network') {
      const what = `${name} is of another network than ${staging.network}`
      return new MigrateError('network_differs', `${what}: name the right one with --network.`)
    }
    if (isLie(error)) return new MigrateError('source_unsound', `${name} breaks the rules of sync: ${message}`)
    const isLine = code === 'broken' || code === 'stalled'
    return new MigrateError(isLine ? 'unreachable' : 'failed', `${name}: ${message}`)
  }

  return {
    name,
    faults: new FaultLog(),
    take,
    give,
    avatarStatus,
    // Every session compares everything.
    settled: () => Promise.resolve(),
    // Peers report changes by gossip only, which this connection does not take part in. They are asked regularly instead.
    follow: () => Promise.resolve(),
    close: () => link.close(),
  }
}

/** Errors that a repetition does not mend. */
const FINAL: ReadonlySet<string> = new Set(['wrong_network', 'unsupported_version', 'scope', 'failed'])

/** Whether no honest peer causes the error. A bad line can cause `stalled` too. */
function isLie({ code }: SyncError): boolean {
  return code === 'withheld' || (code !== 'stalled' && PEERS_FAULT.has(code))
}

function isFinal(error: SyncError): boolean {
  return FINAL.has(error.refusal ?? error.code) || isLie(error)
}
