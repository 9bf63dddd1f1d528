/** Texts that a person typed and has not sent. They are in the memory of this page, so that visiting another page loses none. */
import type { JsonObject } from '../../client/index.ts'
import type { Target } from './prepare.ts'

export interface Desired {
  readonly avatar: string
  readonly target: Target
  /** The id of the change that is made again; empty if there is none. */
  readonly again: string
}

export interface Typed {
  /** The content that it was typed over. */
  readonly before: JsonObject
  readonly text: string
}

export type Drafts = ReturnType<typeof createDrafts>

export function createDrafts() {
  const kept = new Map<string, Desired & Typed>()
  return {
    get: (desired: Desired): Typed | undefined => kept.get(keyOf(desired)),
    set(desired: Desired, typed: Typed): void {
      const key = keyOf(desired)
      // Behind all others.
      kept.delete(key)
      kept.set(key, { ...desired, ...typed })
    },
    drop: (desired: Desired): void => void kept.delete(keyOf(desired)),
    /** The content of an avatar that was edited last. */
    latest: (avatar: string): Target | undefined =>
      [...kept.values()].findLast((each) => each.avatar === avatar && each.again === '')?.target,
    get size(): number {
      return kept.size
    },
  }
}

function keyOf({ avatar, target, again }: Desired): string {
  return JSON.stringify([avatar, target.platform, target.identity, again])
}
