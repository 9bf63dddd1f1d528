import type { Avatar } from '../record/types.ts'
import { HostingError } from './errors.ts'
import { hashInvite } from './invites.ts'
import { MAX_LISTED, STATEMENT_WINDOW_SECONDS } from './limits.ts'
import type { HostingChange, Register } from './register.ts'
import type { HostingMode, HostingPolicy } from './types.ts'

/**
 * The rules for putting an avatar on the list of hosted avatars and for taking it off.
 *
 * @param parts.nowS returns Unix seconds
 */
export function createGrantRules({
  register,
  mode,
  policy,
  nowS,
}: {
  readonly register: Register
  readonly mode: HostingMode
  readonly policy: HostingPolicy
  readonly nowS: () => number
}) {
  /** @throws HostingError `hosting_full` if these avatars do not fit on the list */
  function checkRoom(list: ReadonlyMap<Avatar, unknown>, avatars: readonly Avatar[]): void {
    const more = avatars.filter((avatar) => !list.has(avatar)).length
    if (list.size + more <= MAX_LISTED) return
    throw new HostingError(
      'hosting_full',
      `A list of this node can have ${MAX_LISTED} avatars and has ${list.size}. Ask its operator, or use another node.`,
    )
  }

  /**
   * Returns the changes that make room for these avatars on the list of gone ones. In the mode `listed`, such entries only
   * serve as a memory, so the oldest ones can be dropped.
   *
   * @throws HostingError `hosting_full`
   */
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

  /** @throws HostingError `stale_statement` unless the statement is newer than the last one of the avatar */
  function checkOrder(avatar: Avatar, createdAt: number): void {
    if (createdAt > register.asked(avatar)) return
    throw new HostingError(
      'stale_statement',
      'This node has already received a statement of this avatar that is as new or newer. Sign a new statement.',
    )
  }

  /** @throws HostingError if the policy does not admit the avatar to the list */
  function checkGrant(avatar: Avatar, invite: string | undefined): void {
    // A node that hosts every avatar takes back owners who left on their own request.
    if (mode === 'all' && register.gone.get(avatar)?.own === true) return
    if (policy === 'closed') {
      const message =
        mode === 'all'
          ? 'This node has no list to join: it accepts every avatar that its operator has not blocked or removed. Send your records.'
          : 'This node does not add avatars to its list on request. Ask its operator.'
      throw new HostingError('hosting_closed', message)
    }
    if (policy === 'invite') {
      if (invite === undefined)
        throw new HostingError('invite_required', 'This node requires an invitation code. Ask its operator for one.')
      if (!register.invites.has(hashInvite(invite))) {
        const message =
          'The invitation code is unknown to this node or was already used. Ask its operator for a new one.'
        throw new HostingError('invite_unknown', message)
      }
    }
    checkRoom(register.hosted, [avatar])
  }

  return { checkRoom, makeRoomAmongGone, checkOrder, checkGrant }
}
