import type { Logger } from '../observe/types.ts'
import type { Avatar } from '../record/types.ts'
import { HostingError } from './errors.ts'
import type { HostingChange, Register } from './register.ts'
import type { HeldAvatars } from './types.ts'

interface DeletionParts {
  readonly held: Pick<HeldAvatars, 'forget'>
  readonly register: Pick<Register, 'forgetting'>
  /** Writes changes, once those before are written. */
  readonly change: (decide: () => readonly HostingChange[]) => Promise<void>
  readonly logger: Logger
  readonly isClosed: () => boolean
}

/** Deletes the records of avatars that the register lists for it. */
export function createDeletions({ held, register, change, logger, isClosed }: DeletionParts) {
  const running = new Map<Avatar, Promise<void>>()

  /** Deletes the records of an avatar, one run at a time for each; after a failure the next start tries again. */
  function forget(avatar: Avatar): Promise<void> {
    const known = running.get(avatar)
    if (known !== undefined) return known
    const run = (async () => {
      try {
        await held.forget(avatar)
        await change(() => [{ op: 'forgot', avatar }])
        logger.info({ avatar }, 'the node deleted all records of an avatar')
      } catch (error) {
        if (!isClosed())
          logger.error(
            { err: error, avatar },
            'the node could not delete the records of an avatar; the next start tries again',
          )
      } finally {
        running.delete(avatar)
      }
    })()
    running.set(avatar, run)
    return run
  }

  /** @throws HostingError `failed` */
  async function forgetNow(avatar: Avatar): Promise<void> {
    await forget(avatar)
    if (!register.forgetting.has(avatar) || running.has(avatar)) return
    const message = `The node could not delete the earlier records of ${avatar} yet. See its log, then try again.`
    throw new HostingError('failed', message)
  }

  return {
    forget,
    /** Makes a change once no deletion for these avatars is under way, which would delete records that arrive next. */
    async changeAfter(avatars: readonly Avatar[], decide: () => readonly HostingChange[]): Promise<void> {
      for (let isDone = false; !isDone;) {
        for (const avatar of avatars) if (register.forgetting.has(avatar)) await forgetNow(avatar)
        await change(() => {
          isDone = !avatars.some((avatar) => register.forgetting.has(avatar))
          return isDone ? decide() : []
        })
      }
    },
    async settled(): Promise<void> {
      while (running.size > 0) await Promise.all(running.values())
    },
  }
}
