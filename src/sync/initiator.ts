import type { Avatar } from '../record/types.ts'
import { bulkStart } from './bootstrap.ts'
import { receiveBulk } from './bulk.ts'
import type { Channel } from './channel.ts'
import { SyncError } from './errors.ts'
import type { HelloFrame, WelcomeFrame } from './frames.ts'
import { Intake } from './intake.ts'
import { SYNC_VERSION } from './limits.ts'
import type { Bound } from './negentropy/types.ts'
import { newPassMemory, type PassTotals } from './ledger.ts'
import { Pass } from './pass.ts'
import { choose, compareList, openingOf, ownList } from './scope.ts'
import { unexpected, withChannel, type SessionParts, type SessionReport } from './session.ts'
import type { FrameStream, SyncMoment } from './types.ts'

/**
 * Passes of one session. Two suffice where nobody writes meanwhile; a chain of records that came in a bad order, and is
 * longer than what may be pending, takes more.
 */
const MAX_PASSES = 16

/**
 * Reconciles with a peer on a stream opened to it, and moves what differs.
 *
 * @throws SyncError
 */
export function runInitiator(parts: SessionParts, stream: FrameStream): Promise<SessionReport> {
  return withChannel(parts, stream, (channel) =>
    withIntake(parts, channel, (intake) => new Initiator(parts, channel, intake).run()),
  )
}

/**
 * Asks a peer for some records.
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
  if (frame.kind === 'refusal') {
    const { code } = frame
    const message = `The peer refuses the session: ${code}.`
    throw new SyncError('refused', message, code === 'unknown' ? {} : { refusal: code })
  }
  if (frame.kind !== 'welcome') throw unexpected(frame)
  return frame
}

/** The avatars that a session is about, where it is not about everything. */
interface Listed {
  readonly avatars: readonly Avatar[]
  /** Bits: those of which both sides hold different records. */
  readonly differing: Uint8Array
}

class Initiator {
  readonly #parts: SessionParts
  readonly #channel: Channel
  readonly #intake: Intake
  readonly #memory = newPassMemory()
  #pass = 0
  #differences = 0
  /** Whether a pass has run; what the later ones find is new. */
  #hasCompared = false

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
    const moment = await this.#look('all')
    let listed: Listed | undefined
    let bulkFrom: Bound | null = null
    let first: PassTotals | undefined
    try {
      const ours = moment.size()
      await this.#channel.send({ ...HELLO, network, count: ours, opening: await openingOf(moment), mark: at })
      const welcome = welcomeOf(await this.#channel.expect(this.#parts.limits.openMs))
      if (welcome.list === null) {
        const oursBelow = at === null ? 0 : await moment.lowerBound(0, ours, at)
        const counts = { ours, theirs: welcome.count, mark: at, oursBelow, theirsBelow: welcome.below }
        bulkFrom = this.#parts.memory.bulkDone ? null : bulkStart(counts)
        progress.phase = bulkFrom === null ? 'reconciling' : 'bootstrapping'
        this.#pass = 1
        if (bulkFrom === null) {
          if (at !== null) await mark.write(null)
          const begin = { answer: welcome.answer }
          first = await this.#runPass({ reconciling: { number: 1, moment, begin }, avatars: null })
        } else {
          progress.total = welcome.count - (bulkFrom === at ? welcome.below : 0)
        }
      } else {
        const { avatars, differing } = await compareList(this.#parts.source, 'all', welcome.list)
        listed = { avatars, differing }
      }
    } finally {
      await moment.close()
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

  /** Passes until one finds nothing more to move. */
  async #passes(listed: Listed | undefined, first: PassTotals | undefined): Promise<SessionReport> {
    const avatars = listed && choose(listed.avatars, listed.differing)
    let last = first ?? (avatars?.length === 0 ? NOTHING : undefined)
    this.#parts.progress.phase = 'reconciling'
    while (last === undefined || (last.moved > 0 && this.#pass < MAX_PASSES)) {
      this.#pass += 1
      const moment = await this.#look(avatars ?? 'all')
      try {
        const begin = { opening: await openingOf(moment), subset: listed?.differing ?? new Uint8Array(0) }
        const reconciling = { number: this.#pass, moment, begin }
        last = await this.#runPass({ reconciling, avatars: avatars === undefined ? null : new Set(avatars) })
      } finally {
        await moment.close()
      }
    }
    const { moved, undelivered, refusedHere, refusedThere, found } = last
    const isExplained = moved === 0 && undelivered === 0
    return {
      outcome: found === 0 ? 'equal' : isExplained ? 'equal_except_refused' : 'different',
      differences: this.#differences,
      refusedHere,
      refusedThere,
    }
  }

  async #runPass(plan: ConstructorParameters<typeof Pass>[3]): Promise<PassTotals> {
    const totals = await new Pass(this.#parts, this.#channel, this.#intake, plan, this.#memory).run()
    if (!this.#hasCompared) this.#differences += totals.found
    this.#hasCompared = true
    return totals
  }

  /** A moment that may be closed twice. */
  async #look(scope: 'all' | readonly Avatar[]): Promise<SyncMoment> {
    const moment = await this.#parts.source.moment(scope)
    let closing: Promise<void> | undefined
    return {
      size: () => moment.size(),
      sum: (begin, end) => moment.sum(begin, end),
      items: (begin, end) => moment.items(begin, end),
      lowerBound: (begin, end, bound) => moment.lowerBound(begin, end, bound),
      close: () => (closing ??= moment.close()),
    }
  }
}

const NOTHING: PassTotals = { found: 0, moved: 0, refusedHere: 0, refusedThere: 0, undelivered: 0 }
