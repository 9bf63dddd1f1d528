import type { Avatar } from '../record/types.ts'
import { bulkStart } from './bootstrap.ts'
import { receiveBulk } from './bulk.ts'
import { SyncError } from './errors.ts'
import type { Frame, HelloFrame, WelcomeFrame } from './frame-types.ts'
import { SYNC_VERSION } from './limits.ts'
import type { Bound } from '../negentropy/types.ts'
import { newPassMemory, type PassTotals } from './pass-tracker.ts'
import { refusedBy, runPass } from './pass.ts'
import { choose, compareList, openingOf, ownList, packBits } from './scope.ts'
import { unexpected, withSession, type Session, type SessionParts, type SessionReport } from './session.ts'
import { LISTED_PASS_RECORDS } from './turns.ts'
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

/** Reconciles with a peer on a stream that this node opened, and transfers the differences. @throws SyncError */
export function runInitiator(parts: SessionParts, stream: FrameStream): Promise<SessionReport> {
  return withSession(parts, stream, initiate)
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
  return withSession(parts, stream, async (session) => {
    const { channel } = session
    parts.progress.phase = 'fetching'
    parts.progress.total = ids.length
    await channel.send({ ...HELLO, network: parts.network, purpose: 'fetch' })
    welcomeOf(await channel.expect(parts.limits.openMs))
    const plan = { reconciling: null, fetch: ids, avatars: null }
    const { undelivered } = await runPass(session, plan, newPassMemory())
    await channel.close()
    return { missing: undelivered }
  })
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

function welcomeOf(frame: Frame): WelcomeFrame {
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
  /** The bits of these avatars in the list of the session. */
  readonly subset: Uint8Array
}

async function initiate(session: Session): Promise<SessionReport> {
  const { parts, channel } = session
  const passMemory = newPassMemory()
  const { source, network, progress, memory, limits } = parts
  let pass = 0
  let differences = 0

  async function everything(): Promise<SessionReport> {
    const { mark } = parts
    const at = await mark.read()
    const readSnapshot = await source.readSnapshot('all')
    let listed: Listed | undefined
    let bulkFrom: Bound | null = null
    let first: PassTotals | undefined
    try {
      const ours = readSnapshot.size()
      await channel.send({ ...HELLO, network, count: ours, opening: await openingOf(readSnapshot), mark: at })
      const welcome = welcomeOf(await channel.expect(limits.openMs))
      if (welcome.list === null) {
        const oursBelow = at === null ? 0 : await readSnapshot.lowerBound(0, ours, at)
        const counts = { ours, theirs: welcome.count, mark: at, oursBelow, theirsBelow: welcome.below }
        bulkFrom = memory.bulkDone || parts.refusals.isClosed ? null : bulkStart(counts)
        progress.phase = bulkFrom === null ? 'reconciling' : 'bootstrapping'
        pass = 1
        if (bulkFrom === null) {
          if (at !== null) await mark.write(null)
          const begin = { answer: welcome.answer }
          first = await runPass(session, { reconciling: { number: 1, readSnapshot, begin }, avatars: null }, passMemory)
          differences += first.found
        } else {
          progress.total = welcome.count - (bulkFrom === at ? welcome.below : 0)
        }
      } else {
        const { avatars, differing } = await compareList(source, 'all', welcome.list)
        listed = { avatars, differing }
      }
    } finally {
      await readSnapshot.close()
    }
    if (bulkFrom !== null) {
      differences += await receiveBulk(session, bulkFrom)
      progress.phase = 'reconciling'
    }
    return passes(listed, first)
  }

  async function scoped(scope: readonly Avatar[]): Promise<SessionReport> {
    const { avatars, frame } = await ownList(source, scope, memory)
    await channel.send({ ...HELLO, network, list: frame })
    const { differing } = welcomeOf(await channel.expect(limits.openMs))
    return passes({ avatars, differing }, undefined)
  }

  /** Runs passes until one finds nothing more to transfer. */
  async function passes(listed: Listed | undefined, first: PassTotals | undefined): Promise<SessionReport> {
    progress.phase = 'reconciling'
    const groups = listed === undefined ? [null] : await groupsOf(listed)
    const maxPasses = Math.min(MAX_PASSES, Math.floor(MAX_SESSION_PASSES / groups.length))
    const last = { ...NOTHING }
    for (const group of groups) addTo(last, await repeat(group, maxPasses, first))
    const { moved, undelivered, refusedHere, refusedThere, found } = last
    const isExplained = moved === 0 && undelivered === 0
    return {
      outcome: found === 0 ? 'equal' : isExplained ? 'equal_except_refused' : 'different',
      differences,
      refusedHere,
      refusedThere,
    }
  }

  /** Divides the avatars that differ into groups, one for each pass. A pass has the records of its whole group in memory. */
  async function groupsOf({ avatars, differing }: Listed): Promise<Group[]> {
    const sums = await source.avatarSums(choose(avatars, differing))
    const records = sums.reduce((sum, { count }) => sum + count, 0)
    const maxRecords = Math.max(LISTED_PASS_RECORDS, Math.ceil((2 * records) / MAX_GROUPS))
    const groups: { avatars: Set<Avatar>; records: number }[] = []
    for (const { avatar, count } of sums) {
      let group = groups.at(-1)
      if (group === undefined || group.records + count > maxRecords) {
        group = { avatars: new Set(), records: 0 }
        groups.push(group)
      }
      group.avatars.add(avatar)
      group.records += count
    }
    return groups.map((group) => ({
      avatars: group.avatars,
      subset: packBits(avatars.map((avatar) => group.avatars.has(avatar))),
    }))
  }

  /**
   * Runs passes about a group, or about everything, until one finds nothing more to transfer.
   *
   * @param last the pass that has already run
   * @returns the totals of the last pass
   */
  async function repeat(group: Group | null, maxPasses: number, last: PassTotals | undefined): Promise<PassTotals> {
    for (let left = maxPasses; last === undefined || (last.moved > 0 && left > 0); left -= 1) {
      const isFirst = last === undefined
      pass += 1
      const readSnapshot = await source.readSnapshot(group === null ? 'all' : [...group.avatars])
      try {
        const begin = { opening: await openingOf(readSnapshot), subset: group?.subset ?? new Uint8Array(0) }
        const reconciling = { number: pass, readSnapshot, begin }
        last = await runPass(session, { reconciling, avatars: group?.avatars ?? null }, passMemory)
      } finally {
        await readSnapshot.close()
      }
      // Differences that later passes find are new.
      if (isFirst) differences += last.found
    }
    return last
  }

  const report = parts.scope === 'all' ? await everything() : await scoped(parts.scope)
  await channel.close()
  if (passMemory.isWithholding) {
    throw new SyncError('withheld', 'The peer claims records again and again that it does not deliver.', {
      blame: true,
    })
  }
  memory.withheld = 0
  return report
}

const NOTHING: PassTotals = { found: 0, moved: 0, refusedHere: 0, refusedThere: 0, undelivered: 0 }

function addTo(totals: PassTotals, more: PassTotals): void {
  for (const name of Object.keys(totals) as (keyof PassTotals)[]) totals[name] += more[name]
}
