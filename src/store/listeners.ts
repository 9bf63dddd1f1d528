import type { Logger } from '../observe/types.ts'
import type { Avatar } from '../record/types.ts'
import type { Batch } from './batch.ts'
import { toEvents } from './feed.ts'
import type { AvatarSummary, ChangeEvent, CommitListener } from './types.ts'

/** Listeners to commits. If one throws, the others are still called. */
export class Listeners {
  readonly #all = new Set<CommitListener>()
  readonly #logger: Logger

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** @returns a function that removes the listener */
  add(listener: CommitListener): () => void {
    this.#all.add(listener)
    return () => this.#all.delete(listener)
  }

  announce({ changes, summaries }: Pick<Batch, 'changes' | 'summaries'>): void {
    if (changes.length === 0) return
    const summaryOf = (avatar: Avatar): AvatarSummary | undefined => summaries.get(avatar)
    this.tell(toEvents(changes, summaryOf), summaryOf)
  }

  tell(events: readonly ChangeEvent[], summaryOf: (avatar: Avatar) => AvatarSummary | undefined): void {
    for (const listener of this.#all) {
      try {
        listener(events, summaryOf)
      } catch (error) {
        this.#logger.error({ err: error }, 'A listener to commits failed. The other listeners were called.')
      }
    }
  }
}
