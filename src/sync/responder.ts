import { wantsBulk } from './bootstrap.ts'
import type { Channel } from './channel.ts'
import { SyncError, type RefusalCode } from './errors.ts'
import { NOTHING_KNOWN, type Frame, type HelloFrame, type RefusedEntry } from './frame-types.ts'
import type { IngestResult } from '../ingest/types.ts'
import type { Avatar, SignedRecord } from '../record/types.ts'
import { checkArrivals, supersededOf, type Arrival } from './arrivals.ts'
import { idKey, sameBytes, splitIds } from './ids.ts'
import { Intake } from './intake.ts'
import { SYNC_VERSION } from './limits.ts'
import { Negentropy } from '../negentropy/negentropy.ts'
import { VERSION } from '../negentropy/wire.ts'
import { payloadHead } from '../record/payload-head.ts'
import { sendBulk, sendRequested } from './sending.ts'
import { choose, compareList, openingOf, ownList } from './scope.ts'
import { fromNegentropy, negentropyOptions, unexpected, withChannel, type SessionParts } from './session.ts'
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

/**
 * Serves a session that a peer opened: answers frame after frame until the peer ends its side.
 *
 * @throws SyncError
 */
export function runResponder(parts: SessionParts, stream: FrameStream): Promise<ServedReport> {
  return withChannel(parts, stream, async (channel) => {
    const responder = new Responder(parts, channel)
    try {
      return await responder.run()
    } finally {
      await responder.end()
    }
  })
}

/** The avatars of a session with a list. */
interface ServedList {
  readonly avatars: readonly Avatar[]
  /** The avatars in both scopes; a pass may be about these. */
  readonly common: ReadonlySet<Avatar>
  /** The avatars that differed when they were last compared. */
  readonly differing: Set<Avatar>
}

class Responder {
  readonly #parts: SessionParts
  readonly #channel: Channel
  readonly #intake: Intake
  #readSnapshot: SyncSnapshot | undefined
  #negentropy: Negentropy | undefined
  #pass = 0
  #isEqual = false
  #list: ServedList | null = null
  /** The avatars of the current pass. */
  #chosen: readonly Avatar[] = []
  #duplicates = 0
  #notLacking = 0

  constructor(parts: SessionParts, channel: Channel) {
    this.#parts = parts
    this.#channel = channel
    this.#intake = new Intake(parts, (error) => channel.fail(error))
  }

  async run(): Promise<ServedReport> {
    const { limits, progress } = this.#parts
    const hello = await this.#channel.expect(limits.openMs)
    if (hello.kind !== 'hello') throw unexpected(hello)
    const refused = this.#objection(hello)
    if (refused !== undefined) return this.#refuse(hello, refused)
    progress.phase = 'serving'
    if (hello.purpose === 'fetch') {
      await this.#channel.send({ kind: 'welcome', ...NOTHING_KNOWN })
    } else if (hello.list === null) {
      const reversed = await this.#welcome(hello)
      if (reversed !== undefined) return this.#refuse(hello, reversed)
    } else {
      const { avatars, common, differing } = await compareList(this.#parts.source, this.#parts.scope, hello.list)
      this.#list = {
        avatars,
        common: new Set(choose(avatars, common)),
        differing: new Set(choose(avatars, differing)),
      }
      await this.#channel.send({ kind: 'welcome', ...NOTHING_KNOWN, common, differing })
    }
    try {
      for (;;) {
        const frame = await this.#channel.receive(limits.stallMs, () => this.#intake.isBusy)
        if (frame === null) break
        await this.#answer(frame, hello.purpose)
      }
    } catch (error) {
      if (error instanceof SyncError && error.refusal === 'full') return this.#refuse(hello, 'full')
      throw error
    }
    await this.#intake.drain()
    await this.#channel.close()
    return { purpose: hello.purpose, isEqual: this.#areEqual(), refused: null }
  }

  #areEqual(): boolean {
    if (this.#list === null) return this.#isEqual
    return this.#list.common.size > 0 && this.#list.differing.size === 0
  }

  /** Releases everything, however the session ended. */
  async end(): Promise<void> {
    this.#intake.stop(new SyncError('stopped', 'The session is over.'))
    await this.#intake.settled()
    await this.#readSnapshot?.close()
  }

  #objection(hello: HelloFrame): RefusalCode | undefined {
    if (hello.version !== SYNC_VERSION) return 'unsupported_version'
    return hello.network === this.#parts.network ? undefined : 'wrong_network'
  }

  async #refuse(hello: HelloFrame, code: RefusalCode): Promise<ServedReport> {
    await this.#channel.send({ kind: 'refusal', code })
    await this.#channel.close()
    return { purpose: hello.purpose, isEqual: false, refused: code }
  }

  /** Answers a Hello about everything, or refuses it. */
  async #welcome(hello: HelloFrame): Promise<RefusalCode | undefined> {
    const { source, scope, memory, lease, mark, peer } = this.#parts
    if (scope !== 'all') {
      const { avatars, frame } = await ownList(source, scope, memory)
      this.#list = { avatars, common: new Set(avatars), differing: new Set(avatars) }
      await this.#channel.send({ kind: 'welcome', ...NOTHING_KNOWN, list: frame })
      return undefined
    }
    const readSnapshot = await this.#look()
    const ours = readSnapshot.size()
    if (!memory.bulkDone && wantsBulk(ours, hello.count, await mark.read())) {
      return lease.isFreeFor(peer) ? 'reversed' : 'busy'
    }
    const below = hello.mark === null ? 0 : await readSnapshot.lowerBound(0, ours, hello.mark)
    const answer = await this.#reconcile(hello.opening, readSnapshot)
    this.#pass = 1
    await this.#channel.send({ kind: 'welcome', ...NOTHING_KNOWN, count: ours, below, answer })
    return undefined
  }

  async #answer(frame: Frame, purpose: HelloFrame['purpose']): Promise<void> {
    if (frame.kind === 'request') return sendRequested(this.#parts, this.#channel, splitIds(frame.ids))
    if (purpose === 'fetch') throw unexpected(frame)
    switch (frame.kind) {
      case 'reconcile':
        return this.#continue(frame.pass, frame.message, frame.subset)
      case 'bulk':
        // A bulk stream takes long, so the next pass reads the held records again.
        await this.#readSnapshot?.close()
        this.#readSnapshot = undefined
        return sendBulk(this.#parts, this.#channel, frame.from)
      case 'records':
        return this.#take(frame.records)
      case 'refusal':
        throw new SyncError('refused', `The peer ended the session: ${frame.code}.`)
      default:
        throw unexpected(frame)
    }
  }

  async #continue(pass: number, message: Uint8Array, subset: Uint8Array): Promise<void> {
    if (pass < this.#pass || pass > MAX_SERVED_PASSES) throw new SyncError('unexpected_frame', `Pass ${pass} is over.`)
    if (pass > this.#pass) {
      await this.#intake.drain()
      await this.#look(subset)
      this.#pass = pass
    }
    if (this.#readSnapshot === undefined) throw new SyncError('unexpected_frame', 'A pass goes on that has not begun.')
    const answer = await this.#reconcile(message, this.#readSnapshot)
    await this.#channel.send({ kind: 'reconciled', pass, message: answer })
  }

  /** Opens a new moment of the held records. */
  async #look(subset: Uint8Array = new Uint8Array(0)): Promise<SyncSnapshot> {
    await this.#readSnapshot?.close()
    this.#readSnapshot = undefined
    this.#negentropy = undefined
    const list = this.#list
    this.#chosen = list === null ? [] : choose(list.avatars, subset)
    if (this.#chosen.some((avatar) => list?.common.has(avatar) !== true)) {
      throw new SyncError('out_of_scope', 'A pass is about avatars that are not in the scope of both sides.')
    }
    this.#readSnapshot = await this.#parts.source.readSnapshot(list === null ? 'all' : this.#chosen)
    return this.#readSnapshot
  }

  /** The Negentropy answer to a message. */
  async #reconcile(message: Uint8Array, readSnapshot: SyncSnapshot): Promise<Uint8Array> {
    if (this.#negentropy === undefined) {
      const isEqual = sameBytes(message, await openingOf(readSnapshot))
      this.#noteEqual(isEqual)
      if (isEqual) return ONLY_VERSION
    }
    this.#negentropy ??= new Negentropy(readSnapshot, negentropyOptions(this.#parts))
    try {
      return (await this.#negentropy.reconcile(message)).message ?? ONLY_VERSION
    } catch (error) {
      throw fromNegentropy(error)
    }
  }

  /** Whether the first message of a pass shows that both sides are equal. */
  #noteEqual(isEqual: boolean): void {
    this.#isEqual = isEqual
    for (const avatar of this.#chosen) {
      if (isEqual) this.#list?.differing.delete(avatar)
      else this.#list?.differing.add(avatar)
    }
  }

  /** Accepts records that the peer sends because this node lacks them. */
  async #take(records: readonly SignedRecord[]): Promise<void> {
    if (this.#pass === 0) throw new SyncError('unasked_record', 'Records came before anything was reconciled.')
    const { progress } = this.#parts
    const arrivals = await checkArrivals(this.#parts, records, this.#list?.common ?? null)
    const fresh = arrivals.filter((arrival) => !arrival.isHeld)
    const held = arrivals.filter((arrival) => arrival.isHeld)
    progress.recordsIn += records.length
    await this.#judgeDuplicates(held)
    const heldIds = held.map(({ id }) => id)
    const superseded = held.length === 0 ? [] : await supersededOf(this.#parts, heldIds)
    const never = superseded.map((id) => ({ id, retrySeconds: 0 }))
    await this.#intake.add(
      fresh.map(({ record }) => record),
      (results) => this.#told(fresh, results, never),
    )
  }

  /** @throws SyncError `unasked_record` if too many of the records are already held */
  async #judgeDuplicates(held: readonly Arrival[]): Promise<void> {
    for (const { id, record } of held) {
      if (await this.#wasHeld(id, record)) this.#notLacking += 1
      if (this.#notLacking > MAX_NOT_LACKING) {
        throw new SyncError('unasked_record', 'The peer sends records that are not lacking.')
      }
    }
    this.#duplicates += held.length
    if (this.#duplicates <= FREE_DUPLICATES + this.#intake.totals.accepted) return
    const message = 'Nearly all that the peer sends has just come from others; the next session finds the rest.'
    throw new SyncError('unasked_record', message, { blame: false })
  }

  /** Whether a record was live when the pass began. */
  async #wasHeld(id: Uint8Array, { payload }: SignedRecord): Promise<boolean> {
    const readSnapshot = this.#readSnapshot
    const timestamp = payloadHead(payload)?.createdAt
    if (readSnapshot === undefined || timestamp === undefined) return false
    const rank = await readSnapshot.lowerBound(0, readSnapshot.size(), { timestamp, id })
    if (rank === readSnapshot.size()) return false
    for (const item of await readSnapshot.items(rank, rank + 1)) return sameBytes(item.id, id)
    return false
  }

  /** Sends the peer the results for its records. */
  async #told(
    arrivals: readonly Arrival[],
    results: readonly IngestResult[],
    never: readonly RefusedEntry[],
  ): Promise<void> {
    const refused = [...never]
    for (const [at, { id }] of arrivals.entries()) {
      const status = results[at]?.status
      if (status !== 'refused' && status !== 'superseded') continue
      refused.push({ id, retrySeconds: this.#parts.refusals.retrySeconds(idKey(id)) ?? 1 })
    }
    const { progress } = this.#parts
    progress.done += this.#intake.totals.accepted - progress.accepted
    progress.accepted = this.#intake.totals.accepted
    await this.#channel.send({ kind: 'taken', refused })
  }
}
