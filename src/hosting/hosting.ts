/**
 * Decides which avatars this node hosts, from the operator's lists and the owners' requests.
 *
 * Guaranteed: a change is on disk before it takes effect, and then applies at once to every write and read; a deletion that
 * has begun is completed, after a restart if need be; an invitation code puts one avatar on the list, even if several
 * requests use it at the same time; an older statement of an owner never undoes a newer one.
 * Not guaranteed: that copies on other nodes are deleted.
 */
import type { Environment } from '../platform/environment.ts'
import type { Logger, Metrics } from '../observe/types.ts'
import type { Avatar } from '../record/types.ts'
import type { Scope } from '../store/types.ts'
import { HostingError } from './errors.ts'
import { createDeletions } from './deletions.ts'
import { createGrantRules } from './grant-rules.ts'
import { createInvite, hashInvite } from './invites.ts'
import type { Journal } from './journal.ts'
import { JOURNAL_SLACK_LINES, MAX_INVITES, MAX_REMEMBERED_HOMES } from './limits.ts'
import { notHosted, refusalOf } from './refusals.ts'
import type { HostingChange, Register } from './register.ts'
import { createLinkedAvatars } from './linked-avatars.ts'
import type { HeldAvatars, Hosting, HostingMode, HostingNews, HostingPolicy } from './types.ts'

export interface HostingComponents {
  readonly held: HeldAvatars
  readonly journal: Journal
  /** The state that the journal describes; hosting owns it from now on. */
  readonly register: Register
  readonly environment: Pick<Environment, 'clock' | 'random' | 'timers'>
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'gauge'>
}

export interface HostingOptions {
  readonly mode: HostingMode
  readonly policy: HostingPolicy
  /** In the mode `listed`: avatars linked by each avatar on the list that are hosted too. */
  readonly links: number
}

/** Avatars read from the store at a time. */
const PAGE = 1_000

export function createHosting(components: HostingComponents, options: HostingOptions): Hosting {
  const { held, journal, register, environment, logger, metrics } = components
  const { mode, policy } = options
  const listeners = new Set<(change: HostingNews) => void>()
  let lastChange: Promise<unknown> = Promise.resolve()
  let scope: readonly Avatar[] | undefined
  let isClosed = false

  metrics.gauge('hosting_hosted_avatars', 'Avatars on the list of hosted avatars.', () => register.hosted.size)
  metrics.gauge('hosting_blocked_avatars', 'Avatars blocked.', () => register.blocked.size)
  metrics.gauge(
    'hosting_gone_avatars',
    'Avatars that this node no longer hosts and remembers.',
    () => register.gone.size,
  )
  metrics.gauge('hosting_unused_invites', 'Unused invitation codes.', () => register.invites.size)
  metrics.gauge(
    'hosting_deleting_avatars',
    'Avatars whose records are yet to be deleted.',
    () => register.forgetting.size,
  )

  const nowS = (): number => Math.floor(environment.clock.now() / 1_000)
  const isOwner = (avatar: Avatar): boolean => register.hosted.has(avatar) && !register.blocked.has(avatar)
  const isLinked = (avatar: Avatar): boolean => !register.gone.has(avatar) && linked?.has(avatar) === true
  const isAccepted = (avatar: Avatar): boolean =>
    mode === 'listed' ? register.hosted.has(avatar) || isLinked(avatar) : !register.gone.has(avatar)
  const { checkRoom, makeRoomAmongGone, checkOrder, checkGrant } = createGrantRules({ register, mode, policy, nowS })
  const hosts = (avatar: Avatar): boolean => !register.blocked.has(avatar) && isAccepted(avatar)

  /** Runs changes one at a time: `decide` sees the effect of all earlier ones; its result is on disk when this resolves. */
  function change(decide: () => readonly HostingChange[] | Promise<readonly HostingChange[]>): Promise<void> {
    const run = lastChange.then(async () => {
      if (isClosed) throw new HostingError('failed', 'The node is stopping. Try again when it runs.')
      const changes = await decide()
      if (changes.length === 0) return
      await journal.append(changes)
      apply(changes)
      if (journal.lines <= JOURNAL_SLACK_LINES + 2 * register.size) return
      await journal.rewrite(register.changes()).catch((error: unknown) => {
        logger.warn({ err: error }, 'the node could not compact the hosting file; the file keeps growing')
      })
    })
    lastChange = run.catch(() => undefined)
    return run
  }

  function apply(changes: readonly HostingChange[]): void {
    const avatars = [...new Set(changes.flatMap((each) => ('avatar' in each ? [each.avatar] : [])))]
    const before = avatars.map(hosts)
    for (const each of changes) register.apply(each)
    const admitted = avatars.filter((avatar, at) => before[at] === false && hosts(avatar))
    const changed = avatars.filter((avatar, at) => before[at] !== hosts(avatar) || register.forgetting.has(avatar))
    tell({ changed, admitted })
    linked?.refresh(avatars)
    for (const each of changes) if (each.op === 'forget') void deletions.forget(each.avatar)
  }

  function tell(news: HostingNews): void {
    scope = undefined
    if (news.changed.length > 0) for (const listener of listeners) listener(news)
  }

  const deletions = createDeletions({ held, register, change, logger, isClosed: () => isClosed })

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

  /** Damaged records must not prevent an owner from leaving, so a failure counts as no homes. */
  async function homesOf(avatar: Avatar): Promise<readonly string[]> {
    try {
      const homes = await held.homes(avatar)
      return homes.length > 0 ? homes : (register.gone.get(avatar)?.homes ?? [])
    } catch (error) {
      logger.warn({ err: error, avatar }, 'the node could not read the homes of an avatar')
      return []
    }
  }

  const linked =
    mode === 'listed'
      ? createLinkedAvatars(
          {
            register,
            links: held.links.bind(held),
            isOwner,
            change,
            changed: (avatars, admitted) => tell({ changed: avatars, admitted: admitted.filter(hosts) }),
            environment,
            logger,
          },
          options.links,
        )
      : undefined
  linked?.refresh(register.hosted.keys())

  return {
    mode,
    policy,
    hosts,
    isBlocked: (avatar) => register.blocked.has(avatar),
    isListed: (avatar) => register.hosted.has(avatar),
    admit(avatar) {
      if (register.blocked.has(avatar)) return refusalOf('blocked', [])
      return isAccepted(avatar) ? undefined : notHosted(mode, register.gone.get(avatar)?.homes ?? [])
    },
    formerHomes: (avatar) => register.gone.get(avatar)?.homes ?? [],
    counts: () => register.counts(),
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    scope(): Scope {
      if (mode === 'all') return 'all'
      if (scope === undefined) {
        const others = [...(linked?.all() ?? [])].filter((avatar) => !register.hosted.has(avatar))
        scope = [...[...register.hosted.keys()].reverse(), ...others].filter(hosts)
      }
      return scope
    },

    list: (name, page) => register.list(name, page),
    add: (avatars) =>
      deletions.changeAfter(avatars, () => {
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
      deletions.changeAfter(avatars, () =>
        avatars.flatMap((avatar) => (register.blocked.has(avatar) ? [{ op: 'unblock', avatar } as const] : [])),
      ),
    async invite(count) {
      const codes = Array.from({ length: count }, () => createInvite(environment.random))
      await change(() => {
        if (register.invites.size + count > MAX_INVITES) {
          const message = `The limit is ${MAX_INVITES} unused codes, and there are ${register.invites.size}. Revoke them first.`
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
      await deletions.changeAfter([avatar], () => {
        if (register.blocked.has(avatar)) throw new HostingError('blocked', BLOCKED)
        wasListed = register.hosted.has(avatar)
        // A repeated request succeeds: the first answer may have been lost.
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
          throw new HostingError(
            'not_hosted',
            'This node does not host this avatar and has no records of it. Nothing needs to be done.',
          )
        }
        return removal([avatar], createdAt)
      }),

    pulls: () => [...register.pulls].map(([avatar, { from, at }]) => ({ avatar, from, at })),
    pulling: (avatar, from) => change(() => [{ op: 'pull', avatar, from, at: nowS() }]),
    pulled: (avatar) => change(() => (register.pulls.has(avatar) ? [{ op: 'pulled', avatar }] : [])),

    linksChanged: (avatars) => linked?.refresh(avatars),
    resume() {
      for (const avatar of register.forgetting) void deletions.forget(avatar)
    },
    async settled() {
      await linked?.settled()
      await deletions.settled()
      await lastChange
    },
    async close() {
      isClosed = true
      linked?.close()
      await linked?.settled()
      await lastChange
      await journal.close()
    },
  }
}

const BLOCKED = 'The operator of this node has blocked this avatar.'
