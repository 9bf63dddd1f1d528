/**
 * The two states of an avatar in a replica. `confirmed` is the state of the records that nodes have; its digest is compared with
 * theirs. `shown` has own writes that wait too; it is made once something is written here. Both are updated record by record. An
 * own write that is discarded or signed again removes only itself.
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

  /** Shows own writes in addition to those that are shown. */
  show(own: readonly VerifiedRecord[]): void {
    if (this.#shown === undefined) return this.showOnly(own)
    for (const record of own) this.#shown.add(record)
    saved(this.#shown)
  }

  /** Shows these own writes, and no others. */
  showOnly(own: readonly VerifiedRecord[]): void {
    this.#shown = this.of(own)
  }

  /** The state of the records that nodes have, with these own writes. */
  of(own: readonly VerifiedRecord[]): LocalAvatar {
    const local = new LocalAvatar(this.confirmed.avatar, this.confirmed.network)
    for (const record of snapshotsFirst([...this.confirmed.records], (each) => each)) local.add(record)
    for (const record of own) local.add(record)
    saved(local)
    return local
  }
}

/** Forgets which records are unsaved: this state is not saved. Confirmed records are, and own writes are on disk. */
function saved(local: LocalAvatar | undefined): void {
  void local?.save(() => Promise.resolve())
}

/** Snapshots first: records that they supersede are then skipped, not added and removed. */
export function snapshotsFirst<T>(found: readonly T[], recordOf: (each: T) => VerifiedRecord): T[] {
  const isPatch = (each: T): boolean => recordOf(each).body.type === 'patch'
  return [...found.filter((each) => !isPatch(each)), ...found.filter(isPatch)]
}
