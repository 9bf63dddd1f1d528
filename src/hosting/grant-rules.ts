import type { Avatar } from '../record/types.ts'
import { HostingError } from './errors.ts'
import { hashInvite } from './invites.ts'
import { MAX_LISTED, STATEMENT_WINDOW_SECONDS } from './limits.ts'
import type { HostingChange, Register } from './register.ts'
import type { HostingMode, HostingPolicy } from './types.ts'

interface GrantRuleParts {
  readonly register: Register
  readonly mode: HostingMode
  readonly policy: HostingPolicy
  /** Seconds since 1970. */
  readonly nowS: () => number
}

export interface GrantRules {
  /** @throws HostingError `hosting_full` if these avatars do not fit on the list */
  checkRoom(list: ReadonlyMap<Avatar, unknown>, avatars: readonly Avatar[]): void
  /** The changes that make room for these avatars among those that are gone. @throws HostingError `hosting_full` */
  makeRoomAmongGone(avatars: readonly Avatar[]): HostingChange[]
  /** @throws HostingError `stale_statement` unless the statement is newer than the last one of the avatar */
  checkOrder(avatar: Avatar, createdAt: number): void
  /** @throws HostingError if the policy does not admit the avatar to the list */
  checkGrant(avatar: Avatar, invite: string | undefined): void
}

/** The rules by which an avatar gets onto the list of hosted avatars, and off it. */
export function createGrantRules({ register, mode, policy, nowS }: GrantRuleParts): GrantRules {
  function checkRoom(list: ReadonlyMap<Avatar, unknown>, avatars: readonly Avatar[]): void {
    const more = avatars.filter((avatar) => !list.has(avatar)).length
    if (list.size + more <= MAX_LISTED) return
    throw new HostingError('hosting_full', `This node can have ${MAX_LISTED} avatars on a list, and has ${list.size}.`)
  }

  /** Room among those that are gone: where they are only remembered, the oldest make it. */
  function makeRoomAmongGone(avatars: readonly Avatar[]): HostingChange[] {
    const more = avatars.filter((avatar) => !register.gone.has(avatar)).length
    const excess = register.gone.size + more - MAX_LISTED
    if (excess <= 0) return []
    const now = nowS()
    const oldest = [...register.gone].slice(0, excess)
    const isSafe = oldest.every(([, { asked }]) => asked + 2 * STATEMENT_WINDOW_SECONDS < now)
    if (mode === 'all' || !isSafe || oldest.length < excess) checkRoom(register.gone, avatars)
    return oldest.map(([avatar]) => ({ op: 'drop', avatar }))
  }

  /** @throws HostingError `stale_statement` */
  function checkOrder(avatar: Avatar, createdAt: number): void {
    if (createdAt > register.asked(avatar)) return
    throw new HostingError(
      'stale_statement',
      'A statement of this avatar that is as new, or newer, has come already: sign a new one.',
    )
  }

  /** Whether the list is open to an avatar, by policy. */
  function checkGrant(avatar: Avatar, invite: string | undefined): void {
    // Where everybody is taken, who has left may come back.
    if (mode === 'all' && register.gone.get(avatar)?.own === true) return
    if (policy === 'closed') {
      const message =
        mode === 'all'
          ? 'This node puts nobody on a list; it takes the records of everybody who sends them.'
          : 'This node puts nobody on its list on request. Ask its operator.'
      throw new HostingError('hosting_closed', message)
    }
    if (policy === 'invite') {
      if (invite === undefined)
        throw new HostingError('invite_required', 'This node wants a code. Ask its operator for one.')
      if (!register.invites.has(hashInvite(invite))) {
        throw new HostingError('invite_unknown', 'This node does not know that code, or somebody has used it.')
      }
    }
    checkRoom(register.hosted, [avatar])
  }

  return { checkRoom, makeRoomAmongGone, checkOrder, checkGrant }
}
