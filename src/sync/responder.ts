import { wantsBulk } from './bootstrap.ts'
import { SyncError, type RefusalCode } from './errors.ts'
import { NOTHING_KNOWN, type Frame, type HelloFrame, type RefusedEntry } from './frame-types.ts'
import type { IngestResult } from '../ingest/types.ts'
import type { Avatar, SignedRecord } from '../record/types.ts'
import { checkArrivals, supersededOf, type Arrival } from './arrivals.ts'
import { idKey, splitIds } from './ids.ts'
import { SYNC_VERSION } from './limits.ts'
import { Negentropy } from '../negentropy/negentropy.ts'
import { sameBytes } from '../negentropy/turn.ts'
import { VERSION } from '../negentropy/wire.ts'
import { payloadHead } from '../record/payload-head.ts'
import { sendBulk, sendRequested } from './sending.ts'
import { choose, compareList, openingOf, ownList } from './scope.ts'
import {
  fromNegentropy,
  negentropyOptions,
  unexpected,
  withSession,
  type Session,
  type SessionParts,
} from './session.ts'
import type { SyncSnapshot } from '../store/types.ts'
import type { FrameStream } from './types.ts'

/** What the responder knows at the end of a session. */
export interface ServedReport {
  readonly purpose: 'reconcile' | 'fetch'
  /** Whether all avatars in both scopes (at least one) were compared and finally found equal. */
  readonly isEqual: boolean
  /** Set if this side refused the session or ended it early. */
  readonly refused: RefusalCode | null
}

/** Most records that were already held when the pass began. An honest peer sends none. */
const MAX_NOT_LACKING = 64
/** Records of a session that others have just brought and that do not count as waste. */
const FREE_DUPLICATES = 65_536
/** Passes that an honest initiator may need, with room. */
const MAX_SERVED_PASSES = 64
const ONLY_VERSION = Uint8Array.of(VERSION)

/** Serves a session that a peer opened: answers frame after frame until the peer ends its side. @throws SyncError */
export function runResponder(parts: SessionParts, stream: FrameStream): Promise<ServedReport> {
  return withSession(parts, stream, serve)
}

/** The avatars of a session with a list. */
interface ServedList {
  readonly avatars: readonly Avatar[]
  /** The avatars in both scopes; a pass may be about these. */
  readonly common: ReadonlySet<Avatar>
  /** The avatars that differed when they were last compared. */
  readonly differing: Set<Avatar>
}

async function serve({ parts, channel, intake }: Session): Promise<ServedReport> {
  const { source, scope, limits, progress } = parts
  /** The held records as of the beginning of the current pass. */
  let held: SyncSnapshot | undefined
  let negentropy: Negentropy | undefined
  let currentPass = 0
  /** Whether the current pass began with equal records on both sides. */
  let beganEqual = false
  let list = null as ServedList | null
  /** The avatars of the current pass. */
  let chosen: readonly Avatar[] = []
  let duplicates = 0
  let notLacking = 0

  function areEqual(): boolean {
    if (list === null) return beganEqual
    return list.common.size > 0 && list.differing.size === 0
  }

  function objection(hello: HelloFrame): RefusalCode | undefined {
    if (hello.version !== SYNC_VERSION) return 'unsupported_version'
    return hello.network === parts.network ? undefined : 'wrong_network'
  }

  async function refuse(hello: HelloFrame, code: RefusalCode): Promise<ServedReport> {
    await channel.send({ kind: 'refusal', code })
    await channel.close()
    return { purpose: hello.purpose, isEqual: false, refused: code }
  }

  /** Answers a Hello about everything, or refuses it. */
  async function welcome(hello: HelloFrame): Promise<RefusalCode | undefined> {
    const { memory, lease, mark, peer } = parts
    if (scope !== 'all') {
      const { avatars, frame } = await ownList(source, scope, memory)
      list = { avatars, common: new Set(avatars), differing: new Set(avatars) }
      await channel.send({ kind: 'welcome', ...NOTHING_KNOWN, list: frame })
      return undefined
    }
    const readSnapshot = await look()
    const ours = readSnapshot.size()
    if (!memory.bulkDone && !parts.refusals.isClosed && wantsBulk(ours, hello.count, await mark.read())) {
      return lease.isFreeFor(peer) ? 'reversed' : 'busy'
    }
    const below = hello.mark === null ? 0 : await readSnapshot.lowerBound(0, ours, hello.mark)
    const answer = await reconcile(hello.opening, readSnapshot)
    currentPass = 1
    await channel.send({ kind: 'welcome', ...NOTHING_KNOWN, count: ours, below, answer })
    return undefined
  }

  async function handle(frame: Frame, purpose: HelloFrame['purpose']): Promise<void> {
    if (frame.kind === 'request') return sendRequested(parts, channel, splitIds(frame.ids))
    if (purpose === 'fetch') throw unexpected(frame)
    switch (frame.kind) {
      case 'reconcile':
        return goOn(frame.pass, frame.message, frame.subset)
      case 'bulk':
        // A bulk stream takes long, so the next pass reads the held records again.
        await held?.close()
        held = undefined
        return sendBulk(parts, channel, frame.from)
      case 'records':
        return take(frame.records)
      case 'refusal':
        throw new SyncError('refused', `The peer ended the session: ${frame.code}.`)
      default:
        throw unexpected(frame)
    }
  }

  async function goOn(pass: number, message: Uint8Array, subset: Uint8Array): Promise<void> {
    if (pass < currentPass || pass > MAX_SERVED_PASSES) throw new SyncError('unexpected_frame', `Pass ${pass} is over.`)
    if (pass > currentPass) {
      await intake.drain()
      await look(subset)
      currentPass = pass
    }
    if (held === undefined) throw new SyncError('unexpected_frame', 'A pass goes on that has not begun.')
    const answer = await reconcile(message, held)
    await channel.send({ kind: 'reconciled', pass, message: answer })
  }

  /** Opens a new moment of the held records. */
  async function look(subset: Uint8Array = new Uint8Array(0)): Promise<SyncSnapshot> {
    await held?.close()
    held = undefined
    negentropy = undefined
    chosen = list === null ? [] : choose(list.avatars, subset)
    if (chosen.some((avatar) => list?.common.has(avatar) !== true)) {
      throw new SyncError('out_of_scope', 'A pass is about avatars that are not in the scope of both sides.')
    }
    held = await source.readSnapshot(list === null ? 'all' : chosen)
    return held
  }

  /** The Negentropy answer to a message. */
  async function reconcile(message: Uint8Array, readSnapshot: SyncSnapshot): Promise<Uint8Array> {
    if (negentropy === undefined) {
      const isEqual = sameBytes(message, await openingOf(readSnapshot))
      noteEqual(isEqual)
      if (isEqual) return ONLY_VERSION
    }
    negentropy ??= new Negentropy(readSnapshot, negentropyOptions(parts))
    try {
      return (await negentropy.reconcile(message)).message ?? ONLY_VERSION
    } catch (error) {
      throw fromNegentropy(error)
    }
  }

  /** Whether the first message of a pass shows that both sides are equal. */
  function noteEqual(isEqual: boolean): void {
    beganEqual = isEqual
    for (const avatar of chosen) {
      if (isEqual) list?.differing.delete(avatar)
      else list?.differing.add(avatar)
    }
  }

  /** Accepts records that the peer sends because this node lacks them. */
  async function take(records: readonly SignedRecord[]): Promise<void> {
    if (currentPass === 0) throw new SyncError('unasked_record', 'Records came before anything was reconciled.')
    const arrivals = await checkArrivals(parts, records, list?.common ?? null)
    const fresh = arrivals.filter((arrival) => !arrival.isHeld)
    const known = arrivals.filter((arrival) => arrival.isHeld)
    progress.recordsIn += records.length
    await judgeDuplicates(known)
    const knownIds = known.map(({ id }) => id)
    const superseded = known.length === 0 ? [] : await supersededOf(parts, knownIds)
    const never = superseded.map((id) => ({ id, retrySeconds: 0 }))
    await intake.add(
      fresh.map(({ record }) => record),
      (results) => told(fresh, results, never),
    )
  }

  /** @throws SyncError `unasked_record` if too many of the records are already held */
  async function judgeDuplicates(known: readonly Arrival[]): Promise<void> {
    for (const { id, record } of known) {
      if (await wasHeld(id, record)) notLacking += 1
      if (notLacking > MAX_NOT_LACKING) {
        throw new SyncError('unasked_record', 'The peer sends records that are not lacking.')
      }
    }
    duplicates += known.length
    if (duplicates <= FREE_DUPLICATES + intake.totals.accepted) return
    const message = 'Nearly all that the peer sends has just come from others; the next session finds the rest.'
    throw new SyncError('unasked_record', message, { blame: false })
  }

  /** Whether a record was live when the pass began. */
  async function wasHeld(id: Uint8Array, { payload }: SignedRecord): Promise<boolean> {
    const readSnapshot = held
    const timestamp = payloadHead(payload)?.createdAt
    if (readSnapshot === undefined || timestamp === undefined) return false
    const rank = await readSnapshot.lowerBound(0, readSnapshot.size(), { timestamp, id })
    if (rank === readSnapshot.size()) return false
    for (const item of await readSnapshot.items(rank, rank + 1)) return sameBytes(item.id, id)
    return false
  }

  /** Sends the peer the results for its records. */
  async function told(
    arrivals: readonly Arrival[],
    results: readonly IngestResult[],
    never: readonly RefusedEntry[],
  ): Promise<void> {
    const refused = [...never]
    for (const [at, { id }] of arrivals.entries()) {
      const status = results[at]?.status
      if (status !== 'refused' && status !== 'superseded') continue
      refused.push({ id, retrySeconds: parts.refusals.retrySeconds(idKey(id)) ?? 1 })
    }
    progress.done += intake.totals.accepted - progress.accepted
    progress.accepted = intake.totals.accepted
    await channel.send({ kind: 'taken', refused })
  }

  try {
    const hello = await channel.expect(limits.openMs)
    if (hello.kind !== 'hello') throw unexpected(hello)
    const refused = objection(hello)
    if (refused !== undefined) return refuse(hello, refused)
    progress.phase = 'serving'
    if (hello.purpose === 'fetch') {
      await channel.send({ kind: 'welcome', ...NOTHING_KNOWN })
    } else if (hello.list === null) {
      const reversed = await welcome(hello)
      if (reversed !== undefined) return refuse(hello, reversed)
    } else {
      const { avatars, common, differing } = await compareList(source, scope, hello.list)
      list = {
        avatars,
        common: new Set(choose(avatars, common)),
        differing: new Set(choose(avatars, differing)),
      }
      await channel.send({ kind: 'welcome', ...NOTHING_KNOWN, common, differing })
    }
    try {
      for (;;) {
        const frame = await channel.receive(limits.stallMs, () => intake.isBusy)
        if (frame === null) break
        await handle(frame, hello.purpose)
      }
    } catch (error) {
      if (error instanceof SyncError && error.refusal === 'full') return refuse(hello, 'full')
      throw error
    }
    await intake.drain()
    await channel.close()
    return { purpose: hello.purpose, isEqual: areEqual(), refused: null }
  } finally {
    await held?.close()
  }
}
