/**
 * Which avatars a node of the mode `listed` hosts because listed avatars link to them (docs/protocol.md, "Linked keys").
 *
 * Guaranteed: the answers follow from the stored links of the listed avatars; an avatar to which none of them links any more stays
 * hosted for `LET_GO_S`, across restarts, and is then deleted. So a link that is missing for a while, because records arrive out
 * of order, deletes nothing.
 */
import type { Environment } from '../platform/environment.ts'
import type { Logger } from '../observe/types.ts'
import type { Avatar } from '../record/types.ts'
import { LET_GO_S, LET_GO_SWEEP_MS, MAX_LISTED } from './limits.ts'
import type { HostingChange, Register } from './register.ts'

export interface LinkedAvatars {
  /** Whether a listed avatar links to it, or did until lately. */
  has(avatar: Avatar): boolean
  all(): Iterable<Avatar>
  /** Reads the links of these avatars again, if they are listed. */
  refresh(owners: Iterable<Avatar>): void
  /** Resolves when all links that were to be read are read. */
  settled(): Promise<void>
  close(): void
}

interface LinkedAvatarsParts {
  readonly register: Register
  /** The avatars to which an avatar links, in order of the keys. */
  readonly links: (owner: Avatar) => Promise<readonly Avatar[]>
  /** Whether links of an avatar count: it is listed and not blocked. */
  readonly isOwner: (avatar: Avatar) => boolean
  /** Writes changes, once those before are written. */
  readonly change: (decide: () => readonly HostingChange[]) => Promise<void>
  /** Called with avatars that are hosted now and were not before, or no longer. */
  readonly changed: (avatars: readonly Avatar[], admitted: readonly Avatar[]) => void
  readonly environment: Pick<Environment, 'clock' | 'timers'>
  readonly logger: Logger
}

/** @param most linked avatars of each listed one */
export function createLinkedAvatars(parts: LinkedAvatarsParts, most: number): LinkedAvatars {
  const { register, links, isOwner, change, changed, environment, logger } = parts
  const linkedBy = new Map<Avatar, readonly Avatar[]>()
  /** By how many listed avatars each is linked. */
  const counts = new Map<Avatar, number>()
  const waiting = new Set<Avatar>()
  let running: Promise<void> | undefined
  let isClosed = false
  let isFullNoted = false

  const nowS = (): number => Math.floor(environment.clock.now() / 1_000)
  const has = (avatar: Avatar): boolean => counts.has(avatar) || register.unlinked.has(avatar)

  async function targetsOf(owner: Avatar): Promise<readonly Avatar[]> {
    if (!isOwner(owner) || most === 0) return []
    const found = [...new Set(await links(owner))].slice(0, most)
    const targets = found.filter((avatar) => counts.has(avatar) || counts.size < MAX_LISTED)
    if (targets.length < found.length && !isFullNoted) {
      isFullNoted = true
      logger.warn(
        { linked: counts.size },
        'the avatars on the list link to more avatars than this node can host; set hosting_links lower',
      )
    }
    return targets
  }

  async function read(owner: Avatar): Promise<void> {
    const after = await targetsOf(owner)
    const before = linkedBy.get(owner) ?? []
    const added = after.filter((avatar) => !before.includes(avatar))
    const gone = before.filter((avatar) => !after.includes(avatar))
    if (added.length + gone.length === 0) return
    const admitted = added.filter((avatar) => !has(avatar))
    if (after.length === 0) linkedBy.delete(owner)
    else linkedBy.set(owner, after)
    for (const avatar of added) counts.set(avatar, (counts.get(avatar) ?? 0) + 1)
    const last = gone.filter((avatar) => counts.get(avatar) === 1)
    // Before they stop being linked: in between they are hosted for both reasons, not for none.
    await change(() => [
      ...added.flatMap((avatar) => (register.unlinked.has(avatar) ? [{ op: 'relinked', avatar } as const] : [])),
      ...last.map((avatar) => ({ op: 'unlinked', avatar, at: nowS() }) as const),
    ]).catch((error: unknown) => {
      if (!isClosed) logger.error({ err: error }, 'the node could not write which linked avatars it is to let go')
    })
    for (const avatar of gone) {
      const left = (counts.get(avatar) ?? 0) - 1
      if (left > 0) counts.set(avatar, left)
      else counts.delete(avatar)
    }
    if (admitted.length > 0) changed(admitted, admitted)
  }

  async function readAll(): Promise<void> {
    for (const owner of waiting) {
      waiting.delete(owner)
      if (isClosed) return
      await read(owner).catch((error: unknown) => {
        logger.warn(
          { err: error, avatar: owner },
          'the node could not read the links of an avatar; its next change tries again',
        )
      })
    }
    running = undefined
  }

  /** Deletes avatars that have not been linked for long enough. */
  async function sweep(): Promise<void> {
    const due = [...register.unlinked].filter(([, at]) => at + LET_GO_S <= nowS()).map(([avatar]) => avatar)
    if (due.length === 0) return
    await change(() =>
      due
        .filter((avatar) => register.unlinked.has(avatar))
        .flatMap((avatar): HostingChange[] => [
          { op: 'relinked', avatar },
          ...(counts.has(avatar) || register.hosted.has(avatar) || register.gone.has(avatar)
            ? []
            : [{ op: 'forget', avatar } as const]),
        ]),
    )
    logger.info({ avatars: due.length }, 'the node let go of avatars that no listed avatar links to any more')
  }

  function schedule(): void {
    cancelSweep = environment.timers.after(LET_GO_SWEEP_MS, () => {
      sweep()
        .catch((error: unknown) => {
          if (!isClosed) logger.warn({ err: error }, 'the node could not let go of avatars; it tries again in an hour')
        })
        .finally(() => {
          if (!isClosed) schedule()
        })
    })
  }
  let cancelSweep: () => void = () => undefined
  schedule()

  return {
    has,
    *all() {
      yield* counts.keys()
      for (const avatar of register.unlinked.keys()) if (!counts.has(avatar)) yield avatar
    },
    refresh(owners) {
      for (const owner of owners) if (isOwner(owner) || linkedBy.has(owner)) waiting.add(owner)
      if (waiting.size > 0 && !isClosed) running ??= Promise.resolve().then(readAll)
    },
    async settled() {
      while (running !== undefined) await running
    },
    close() {
      isClosed = true
      cancelSweep()
    },
  }
}
