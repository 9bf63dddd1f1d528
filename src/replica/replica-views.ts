/**
 * The two folds of an avatar in a replica. `confirmed` is of what nodes have, as they are read; its digest is to be compared with
 * theirs. `shown` has own writes that wait as well; it is made once something is written here. Both are kept up to date record
 * by record, and an own write that is given up, or signed anew, takes nothing along but itself.
 */
import type { Avatar, VerifiedRecord } from '../record/types.ts'
import { LocalAvatar } from '../client/local-avatar.ts'

export class ReplicaViews {
  readonly confirmed: LocalAvatar
  #shown: LocalAvatar | undefined

  constructor(avatar: Avatar, network: string) {
    this.confirmed = new LocalAvatar(avatar, network)
    this.confirmed.onAdded((record) => {
      this.#shown?.add(record)
      saved(this.#shown)
    })
  }

  get shown(): LocalAvatar {
    return this.#shown ?? this.confirmed
  }

  /** Shows own writes beside what is shown already. */
  show(own: readonly VerifiedRecord[]): void {
    if (this.#shown === undefined) return this.showOnly(own)
    for (const record of own) this.#shown.add(record)
    saved(this.#shown)
  }

  /** Shows these own writes, and no others. */
  showOnly(own: readonly VerifiedRecord[]): void {
    this.#shown = this.of(own)
  }

  /** What nodes have, and these own writes. */
  of(own: readonly VerifiedRecord[]): LocalAvatar {
    const local = new LocalAvatar(this.confirmed.avatar, this.confirmed.network)
    for (const record of snapshotsFirst([...this.confirmed.records], (each) => each)) local.add(record)
    for (const record of own) local.add(record)
    saved(local)
    return local
  }
}

/** It has nowhere to be saved to: what is to be saved is the confirmed one, and what waits is on disk. */
function saved(local: LocalAvatar | undefined): void {
  void local?.save(() => Promise.resolve())
}

/** What a snapshot supersedes is not folded at all where the snapshot comes first. */
export function snapshotsFirst<T>(found: readonly T[], recordOf: (each: T) => VerifiedRecord): T[] {
  const isPatch = (each: T): boolean => recordOf(each).body.type === 'patch'
  return [...found.filter((each) => !isPatch(each)), ...found.filter(isPatch)]
}
