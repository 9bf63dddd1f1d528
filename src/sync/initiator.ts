import type { Avatar } from '../record/types.ts'
import { bulkStart } from './bootstrap.ts'
import { receiveBulk } from './bulk.ts'
import type { Channel } from './channel.ts'
import { SyncError } from './errors.ts'
import type { HelloFrame, WelcomeFrame } from './frame-types.ts'
import { Intake } from './intake.ts'
import { SYNC_VERSION } from './limits.ts'
import type { Bound } from '../negentropy/types.ts'
import { newPassMemory, type PassTotals } from './pass-tracker.ts'
import { Pass, refusedBy } from './pass.ts'
import { choose, compareList, openingOf, ownList } from './scope.ts'
import { unexpected, withChannel, type SessionParts, type SessionReport } from './session.ts'
import { LISTED_PASS_RECORDS } from './turns.ts'
import type { SyncSnapshot } from '../store/types.ts'
import type { FrameStream } from './types.ts'

/**
 * Most passes about the same avatars. Two are enough if no one writes meanwhile. A chain of records that arrived in a bad order
 * and is longer than the limit of pending records takes more.
 */
const MAX_PASSES = 16
/** Most passes of one session; a responder serves as many. */
const MAX_SESSION_PASSES = 64
/** Most groups of avatars in one session, so that each group has at least four passes. */
const MAX_GROUPS = 16

/**
 * Reconciles with a peer on a stream that this node opened, and transfers the differences.
 *
 * @throws SyncError
 */
export function runInitiator(parts: SessionParts, stream: FrameStream): Promise<SessionReport> {
  return withChannel(parts, stream, (channel) =>
    withIntake(parts, channel, (intake) => new Initiator(parts, channel, intake).run()),
  )
}

/**
 * Requests some records from a peer.
 *
 * @returns how many of the ids the peer did not have
 * @throws SyncError
 */
export function runFetch(
  parts: SessionParts,
  stream: FrameStream,
  ids: readonly Uint8Array[],
): Promise<{ missing: number }> {
  return withChannel(parts, stream, (channel) =>
    withIntake(parts, channel, async (intake) => {
      parts.progress.phase = 'fetching'
      parts.progress.total = ids.length
      await channel.send({ ...HELLO, network: parts.network, purpose: 'fetch' })
      welcomeOf(await channel.expect(parts.limits.openMs))
      const plan = { reconciling: null, fetch: ids, avatars: null }
      const { undelivered } = await new Pass(parts, channel, intake, plan, newPassMemory()).run()
      await channel.close()
      return { missing: undelivered }
    }),
  )
}

async function withIntake<T>(parts: SessionParts, channel: Channel, run: (intake: Intake) => Promise<T>): Promise<T> {
  const intake = new Intake(parts, (error) => channel.fail(error))
  try {
    return await run(intake)
  } finally {
    intake.stop(new SyncError('stopped', 'The session is over.'))
    await intake.settled()
  }
}

const HELLO: HelloFrame = {
  kind: 'hello',
  version: SYNC_VERSION,
  network: '',
  purpose: 'reconcile',
  list: null,
  count: 0,
  opening: new Uint8Array(0),
  mark: null,
}

function welcomeOf(frame: Awaited<ReturnType<Channel['expect']>>): WelcomeFrame {
  if (frame.kind === 'refusal') throw refusedBy(frame.code, 'The peer refuses the session')
  if (frame.kind !== 'welcome') throw unexpected(frame)
  return frame
}

/** The avatars of a session with a list. */
interface Listed {
  readonly avatars: readonly Avatar[]
  /** Bits of the avatars of which both sides hold different records. */
  readonly differing: Uint8Array
}

/** A group of these avatars that one pass handles. */
interface Group {
  readonly avatars: Set<Avatar>
  /** Their bits. */
  readonly subset: Uint8Array
}

class Initiator {
  readonly #parts: SessionParts
  readonly #channel: Channel
  readonly #intake: Intake
  readonly #memory = newPassMemory()
  #pass = 0
  #differences = 0

  constructor(parts: SessionParts, channel: Channel, intake: Intake) {
    this.#parts = parts
    this.#channel = channel
    this.#intake = intake
  }

  async run(): Promise<SessionReport> {
    const { scope, memory } = this.#parts
    const report = scope === 'all' ? await this.#everything() : await this.#listed(scope)
    await this.#channel.close()
    if (this.#memory.isWithholding) {
      throw new SyncError('withheld', 'The peer claims records again and again that it does not deliver.', {
        blame: true,
      })
    }
    memory.withheld = 0
    return report
  }

  async #everything(): Promise<SessionReport> {
    const { network, mark, progress } = this.#parts
    const at = await mark.read()
    const readSnapshot = await this.#look('all')
    let listed: Listed | undefined
    let bulkFrom: Bound | null = null
    let first: PassTotals | undefined
    try {
      const ours = readSnapshot.size()
      await this.#channel.send({ ...HELLO, network, count: ours, opening: await openingOf(readSnapshot), mark: at })
      const welcome = welcomeOf(await this.#channel.expect(this.#parts.limits.openMs))
      if (welcome.list === null) {
        const oursBelow = at === null ? 0 : await readSnapshot.lowerBound(0, ours, at)
        const counts = { ours, theirs: welcome.count, mark: at, oursBelow, theirsBelow: welcome.below }
        bulkFrom = this.#parts.memory.bulkDone ? null : bulkStart(counts)
        progress.phase = bulkFrom === null ? 'reconciling' : 'bootstrapping'
        this.#pass = 1
        if (bulkFrom === null) {
          if (at !== null) await mark.write(null)
          const begin = { answer: welcome.answer }
          first = await this.#runPass({ reconciling: { number: 1, readSnapshot, begin }, avatars: null })
          this.#differences += first.found
        } else {
          progress.total = welcome.count - (bulkFrom === at ? welcome.below : 0)
        }
      } else {
        const { avatars, differing } = await compareList(this.#parts.source, 'all', welcome.list)
        listed = { avatars, differing }
      }
    } finally {
      await readSnapshot.close()
    }
    if (bulkFrom !== null) {
      this.#differences += await receiveBulk(this.#parts, this.#channel, this.#intake, bulkFrom)
      progress.phase = 'reconciling'
    }
    return this.#passes(listed, first)
  }

  async #listed(scope: readonly Avatar[]): Promise<SessionReport> {
    const { source, network, limits, memory } = this.#parts
    const { avatars, frame } = await ownList(source, scope, memory)
    await this.#channel.send({ ...HELLO, network, list: frame })
    const { differing } = welcomeOf(await this.#channel.expect(limits.openMs))
    return this.#passes({ avatars, differing }, undefined)
  }

  /** Runs passes until one finds nothing more to transfer. */
  async #passes(listed: Listed | undefined, first: PassTotals | undefined): Promise<SessionReport> {
    this.#parts.progress.phase = 'reconciling'
    const groups = listed === undefined ? [null] : await this.#groupsOf(listed)
    const maxPasses = Math.min(MAX_PASSES, Math.floor(MAX_SESSION_PASSES / groups.length))
    const last = { ...NOTHING }
    for (const group of groups) addTo(last, await this.#repeat(group, maxPasses, first))
    const { moved, undelivered, refusedHere, refusedThere, found } = last
    const isExplained = moved === 0 && undelivered === 0
    return {
      outcome: found === 0 ? 'equal' : isExplained ? 'equal_except_refused' : 'different',
      differences: this.#differences,
      refusedHere,
      refusedThere,
    }
  }

  /** Divides the avatars that differ into groups, one for each pass. A pass has the records of its whole group in memory. */
  async #groupsOf({ avatars, differing }: Listed): Promise<Group[]> {
    const sums = await this.#parts.source.avatarSums(choose(avatars, differing))
    const records = sums.reduce((sum, { count }) => sum + count, 0)
    const maxRecords = Math.max(LISTED_PASS_RECORDS, Math.ceil((2 * records) / MAX_GROUPS))
    const placeOf = new Map(avatars.map((avatar, at) => [avatar, at]))
    const groups: (Group & { records: number })[] = []
    for (const { avatar, count } of sums) {
      let group = groups.at(-1)
      if (group === undefined || group.records + count > maxRecords) {
        group = { avatars: new Set(), subset: new Uint8Array(differing.length), records: 0 }
        groups.push(group)
      }
      const at = placeOf.get(avatar) as number
      group.avatars.add(avatar)
      group.subset[at >> 3] = (group.subset[at >> 3] as number) | (1 << (at & 7))
      group.records += count
    }
    return groups
  }

  /**
   * Runs passes about a group, or about everything, until one finds nothing more to transfer.
   *
   * @param last the pass that has already run
   * @returns the totals of the last pass
   */
  async #repeat(group: Group | null, maxPasses: number, last: PassTotals | undefined): Promise<PassTotals> {
    for (let left = maxPasses; last === undefined || (last.moved > 0 && left > 0); left -= 1) {
      const isFirst = last === undefined
      this.#pass += 1
      const readSnapshot = await this.#look(group === null ? 'all' : [...group.avatars])
      try {
        const begin = { opening: await openingOf(readSnapshot), subset: group?.subset ?? new Uint8Array(0) }
        const reconciling = { number: this.#pass, readSnapshot, begin }
        last = await this.#runPass({ reconciling, avatars: group?.avatars ?? null })
      } finally {
        await readSnapshot.close()
      }
      // Differences that later passes find are new.
      if (isFirst) this.#differences += last.found
    }
    return last
  }

  #runPass(plan: ConstructorParameters<typeof Pass>[3]): Promise<PassTotals> {
    return new Pass(this.#parts, this.#channel, this.#intake, plan, this.#memory).run()
  }

  /** A moment that may be closed twice. */
  async #look(scope: 'all' | readonly Avatar[]): Promise<SyncSnapshot> {
    const readSnapshot = await this.#parts.source.readSnapshot(scope)
    let closing: Promise<void> | undefined
    return {
      size: () => readSnapshot.size(),
      sum: (begin, end) => readSnapshot.sum(begin, end),
      items: (begin, end) => readSnapshot.items(begin, end),
      lowerBound: (begin, end, bound) => readSnapshot.lowerBound(begin, end, bound),
      close: () => (closing ??= readSnapshot.close()),
    }
  }
}

const NOTHING: PassTotals = { found: 0, moved: 0, refusedHere: 0, refusedThere: 0, undelivered: 0 }

function addTo(totals: PassTotals, more: PassTotals): void {
  for (const name of Object.keys(totals) as (keyof PassTotals)[]) totals[name] += more[name]
}
