import type { Avatar } from '../../record/types.ts'
import type { Link } from '../../state/links.ts'

/** Whose events a stream has: those of one avatar, or also those of the avatars to which it links. */
export class EventFilter {
  readonly avatar: Avatar
  /** Whether the avatars to which `avatar` links are included. */
  readonly isLinked: boolean
  /** Whether the links are to be read before the next event is sent. */
  isStale: boolean
  avatars: ReadonlySet<Avatar>

  constructor(avatar: Avatar, isLinked: boolean) {
    this.avatar = avatar
    this.isLinked = isLinked
    this.isStale = isLinked
    this.avatars = new Set([avatar])
  }
}

interface Filtered {
  readonly filter: EventFilter | undefined
}

const NONE: ReadonlySet<never> = new Set()

/** Streams with a filter, by the avatars whose events they have. */
export class FilteredStreams<Stream extends Filtered> {
  readonly #byAvatar = new Map<Avatar, Set<Stream>>()

  get size(): number {
    return this.#byAvatar.size
  }

  of(avatar: Avatar): ReadonlySet<Stream> {
    return this.#byAvatar.get(avatar) ?? NONE
  }

  add(stream: Stream): void {
    for (const avatar of stream.filter?.avatars ?? []) {
      this.#byAvatar.set(avatar, (this.#byAvatar.get(avatar) ?? new Set()).add(stream))
    }
  }

  delete(stream: Stream): void {
    for (const avatar of stream.filter?.avatars ?? []) {
      const same = this.#byAvatar.get(avatar)
      same?.delete(stream)
      if (same?.size === 0) this.#byAvatar.delete(avatar)
    }
  }

  /** Notes that an avatar has an event, which may have changed its links. */
  changed(avatar: Avatar): void {
    for (const { filter } of this.of(avatar)) {
      if (filter?.isLinked === true && filter.avatar === avatar) filter.isStale = true
    }
  }

  /** Sets the avatars to which that of a stream links now. */
  relink(stream: Stream, links: readonly Pick<Link, 'avatar'>[]): void {
    const { filter } = stream
    if (filter === undefined) return
    this.delete(stream)
    filter.avatars = new Set([filter.avatar, ...links.map((link) => link.avatar)])
    this.add(stream)
  }
}
