/**
 * Which avatars this node keeps: the operator's lists and the owners' wishes.
 *
 * Guaranteed: a change is on disk before it has an effect, and has it at once for every record and every read; what was to
 * be let go of is let go of, though the process ends meanwhile; a code puts one avatar on the list, whoever else shows it
 * at that moment; an older statement of an owner never undoes a newer one.
 * Not guaranteed: that what others have copied is gone.
 */
import type { Environment } from '../platform/environment.ts'
import type { Logger, Metrics } from '../observe/types.ts'
import type { Avatar } from '../record/types.ts'
import type { Scope } from '../store/types.ts'
import { HostingError } from './errors.ts'
import { createGrantRules } from './grant-rules.ts'
import { createInvite, hashInvite } from './invites.ts'
import type { Journal } from './journal.ts'
import { JOURNAL_SLACK_LINES, MAX_INVITES, MAX_REMEMBERED_HOMES } from './limits.ts'
import { notHosted, refusalOf } from './refusals.ts'
import type { HostingChange, Register } from './register.ts'
import type { Hosting, HostingMode, HostingNews, HostingPolicy } from './types.ts'

/** What hosting needs of the store. */
export interface HeldAvatars {
  /** In ascending order, `after` exclusive. */
  avatars(options: { after?: Avatar; limit: number }): Promise<Avatar[]>
  /** Whether any record of the avatar is held. */
  isHeld(avatar: Avatar): Promise<boolean>
  /** Where the avatar says that it lives. */
  homes(avatar: Avatar): Promise<readonly string[]>
  /** Drops all that is held of an avatar. */
  forget(avatar: Avatar): Promise<void>
}

export interface HostingComponents {
  readonly held: HeldAvatars
  readonly journal: Journal
  /** What the journal says, taken over from now on. */
  readonly register: Register
  readonly environment: Pick<Environment, 'clock' | 'random'>
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'gauge'>
}

export interface HostingOptions {
  readonly mode: HostingMode
  readonly policy: HostingPolicy
}

/** Avatars read from the store at once. */
const PAGE = 1_000

/** Hosting, and the memory of pulls that an end of the process would cut short. */
export interface HostingWithPulls extends Hosting {
  pulls(): { readonly avatar: Avatar; readonly from: string; readonly at: number }[]
  pulling(avatar: Avatar, from: string): Promise<void>
  pulled(avatar: Avatar): Promise<void>
}

export function createHosting(components: HostingComponents, options: HostingOptions): HostingWithPulls {
  const { held, journal, register, environment, logger, metrics } = components
  const { mode, policy } = options
  const listeners = new Set<(change: HostingNews) => void>()
  const forgetting = new Map<Avatar, Promise<void>>()
  let lastChange: Promise<unknown> = Promise.resolve()
  let scope: readonly Avatar[] | undefined
  let isClosed = false

  metrics.gauge('hosting_hosted', 'Avatars on the list of those to be kept.', () => register.hosted.size)
  metrics.gauge('hosting_blocked', 'Avatars blocked.', () => register.blocked.size)
  metrics.gauge('hosting_gone', 'Avatars that were let go and are remembered.', () => register.gone.size)
  metrics.gauge('hosting_invites', 'Invitation codes that nobody has used.', () => register.invites.size)
  metrics.gauge('hosting_forgetting', 'Avatars whose records are still to be dropped.', () => register.forgetting.size)

  const nowS = (): number => Math.floor(environment.clock.now() / 1_000)
  const isKept = (avatar: Avatar): boolean =>
    mode === 'listed' ? register.hosted.has(avatar) : !register.gone.has(avatar)
  const { checkRoom, makeRoomAmongGone, checkOrder, checkGrant } = createGrantRules({ register, mode, policy, nowS })
  const hosts = (avatar: Avatar): boolean => !register.blocked.has(avatar) && isKept(avatar)

  /** Changes one after the other: `decide` sees what all before it have made, and what it returns is on disk when this resolves. */
  function change(decide: () => readonly HostingChange[] | Promise<readonly HostingChange[]>): Promise<void> {
    const run = lastChange.then(async () => {
      if (isClosed) throw new HostingError('failed', 'The node is stopping.')
      const changes = await decide()
      if (changes.length === 0) return
      await journal.append(changes)
      apply(changes)
      if (journal.lines <= JOURNAL_SLACK_LINES + 2 * register.size) return
      await journal.rewrite(register.changes()).catch((error: unknown) => {
        logger.warn({ err: error }, 'the hosting file could not be written anew; it grows on')
      })
    })
    lastChange = run.catch(() => undefined)
    return run
  }

  function apply(changes: readonly HostingChange[]): void {
    const avatars = [...new Set(changes.flatMap((each) => ('avatar' in each ? [each.avatar] : [])))]
    const before = avatars.map(hosts)
    for (const each of changes) register.apply(each)
    scope = undefined
    const admitted = avatars.filter((avatar, at) => before[at] === false && hosts(avatar))
    const changed = avatars.filter((avatar, at) => before[at] !== hosts(avatar) || register.forgetting.has(avatar))
    if (changed.length > 0) for (const listener of listeners) listener({ changed, admitted })
    for (const each of changes) if (each.op === 'forget') void forget(each.avatar)
  }

  /** Drops what is held of an avatar, once at a time; what fails is tried again at the next start. */
  function forget(avatar: Avatar): Promise<void> {
    const known = forgetting.get(avatar)
    if (known !== undefined) return known
    const run = (async () => {
      try {
        await held.forget(avatar)
        await change(() => [{ op: 'forgot', avatar }])
        logger.info({ avatar }, 'all that was held of an avatar is dropped')
      } catch (error) {
        if (!isClosed)
          logger.error({ err: error, avatar }, 'an avatar could not be dropped; the next start tries again')
      } finally {
        forgetting.delete(avatar)
      }
    })()
    forgetting.set(avatar, run)
    return run
  }

  /** A change for avatars of which nothing is being dropped any more, so that what comes next stays. */
  async function changeWhole(avatars: readonly Avatar[], decide: () => readonly HostingChange[]): Promise<void> {
    for (let isDone = false; !isDone;) {
      for (const avatar of avatars) if (register.forgetting.has(avatar)) await forgetNow(avatar)
      await change(() => {
        isDone = !avatars.some((avatar) => register.forgetting.has(avatar))
        return isDone ? decide() : []
      })
    }
  }

  /** @throws HostingError `failed` */
  async function forgetNow(avatar: Avatar): Promise<void> {
    await forget(avatar)
    if (!register.forgetting.has(avatar) || forgetting.has(avatar)) return
    throw new HostingError('failed', `What was held of ${avatar} could not be dropped yet; the node's log says why.`)
  }

  async function removal(avatars: readonly Avatar[], asked?: number): Promise<HostingChange[]> {
    const changes: HostingChange[] = makeRoomAmongGone(avatars)
    for (const avatar of avatars) {
      const homes = (await homesOf(avatar)).slice(0, MAX_REMEMBERED_HOMES)
      const own = asked !== undefined
      changes.push({ op: 'remove', avatar, at: nowS(), homes, own, ...(own ? { asked } : {}) })
      changes.push({ op: 'forget', avatar })
    }
    return changes
  }

  /** What is held may be broken: that keeps nobody from leaving. */
  async function homesOf(avatar: Avatar): Promise<readonly string[]> {
    try {
      const homes = await held.homes(avatar)
      return homes.length > 0 ? homes : (register.gone.get(avatar)?.homes ?? [])
    } catch (error) {
      logger.warn({ err: error, avatar }, 'the homes of an avatar could not be read')
      return []
    }
  }

  return {
    mode,
    policy,
    hosts,
    isBlocked: (avatar) => register.blocked.has(avatar),
    isListed: (avatar) => register.hosted.has(avatar),
    admit(avatar) {
      if (register.blocked.has(avatar)) return refusalOf('blocked', [])
      return isKept(avatar) ? undefined : notHosted(mode, register.gone.get(avatar)?.homes ?? [])
    },
    formerHomes: (avatar) => register.gone.get(avatar)?.homes ?? [],
    counts: () => register.counts(),
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    scope(): Scope {
      if (mode === 'all') return 'all'
      scope ??= [...register.hosted.keys()].filter((avatar) => !register.blocked.has(avatar)).reverse()
      return scope
    },

    list: (name, page) => register.list(name, page),
    add: (avatars) =>
      changeWhole(avatars, () => {
        checkRoom(register.hosted, avatars)
        return avatars.map((avatar) => ({ op: 'add', avatar, at: nowS() }))
      }),
    remove: (avatars) => change(() => removal(avatars)),
    block: (avatars, { forget }) =>
      change(() => {
        checkRoom(register.blocked, avatars)
        return avatars.flatMap((avatar): HostingChange[] => [
          { op: 'block', avatar, at: register.blocked.get(avatar)?.at ?? nowS() },
          ...(forget ? [{ op: 'forget', avatar } as const] : []),
        ])
      }),
    unblock: (avatars) =>
      changeWhole(avatars, () =>
        avatars.flatMap((avatar) => (register.blocked.has(avatar) ? [{ op: 'unblock', avatar } as const] : [])),
      ),
    async invite(count) {
      const codes = Array.from({ length: count }, () => createInvite(environment.random))
      await change(() => {
        if (register.invites.size + count > MAX_INVITES) {
          const message = `There can be ${MAX_INVITES} unused codes, and there are ${register.invites.size}: revoke them first.`
          throw new HostingError('hosting_full', message)
        }
        return codes.map((code) => ({ op: 'invite', hash: hashInvite(code) }))
      })
      return codes
    },
    async revokeInvites() {
      let count = 0
      await change(() => {
        count = register.invites.size
        return count === 0 ? [] : [{ op: 'revoke' }]
      })
      return count
    },
    async tidy() {
      let count = 0
      let after: Avatar | undefined
      for (;;) {
        const page = await held.avatars({ limit: PAGE, ...(after === undefined ? {} : { after }) })
        const last = page.at(-1)
        if (last === undefined) return count
        await change(() => {
          const foreign = page.filter((avatar) => !hosts(avatar))
          count += foreign.length
          return foreign.map((avatar) => ({ op: 'forget', avatar }))
        })
        after = last
      }
    },

    async grant({ avatar, createdAt, invite }) {
      let wasListed = false
      await changeWhole([avatar], () => {
        if (register.blocked.has(avatar)) throw new HostingError('blocked', BLOCKED)
        wasListed = register.hosted.has(avatar)
        // The same once more: the first answer may have been lost.
        if (wasListed && createdAt === register.asked(avatar)) return []
        checkOrder(avatar, createdAt)
        const add = { op: 'add', avatar, at: nowS(), asked: createdAt } as const
        if (wasListed) return [add]
        checkGrant(avatar, invite)
        return [policy === 'invite' && invite !== undefined ? { ...add, invite: hashInvite(invite) } : add]
      })
      return wasListed
    },
    release: ({ avatar, createdAt }) =>
      change(async () => {
        const isGone = register.gone.has(avatar) && !register.hosted.has(avatar)
        if (isGone && createdAt === register.asked(avatar)) return []
        checkOrder(avatar, createdAt)
        if (!register.hosted.has(avatar) && !(await held.isHeld(avatar))) {
          throw new HostingError('not_hosted', 'This node keeps nothing of this avatar.')
        }
        return removal([avatar], createdAt)
      }),

    pulls: () => [...register.pulls].map(([avatar, { from, at }]) => ({ avatar, from, at })),
    pulling: (avatar, from) => change(() => [{ op: 'pull', avatar, from, at: nowS() }]),
    pulled: (avatar) => change(() => (register.pulls.has(avatar) ? [{ op: 'pulled', avatar }] : [])),

    resume() {
      for (const avatar of register.forgetting) void forget(avatar)
    },
    async settled() {
      while (forgetting.size > 0) await Promise.all(forgetting.values())
      await lastChange
    },
    async close() {
      isClosed = true
      await lastChange
      await journal.close()
    },
  }
}

const BLOCKED = 'The operator of this node has blocked this avatar.'
