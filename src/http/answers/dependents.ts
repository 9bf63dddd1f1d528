import type { Avatar } from '../../record/types.ts'

/** A read of a linked view that does not know yet which avatars are linked. */
export interface Opening {
  readonly path: string
  /** Avatars that changed since it began. */
  readonly changed: Set<Avatar>
  /** Resolves when it is known what the view depends on, or when nobody wants to know any more. */
  readonly opened: Promise<void>
  readonly end: () => void
}

/**
 * Which views depend on which avatars besides their own: linked views show values of the avatars that they link to.
 *
 * Guarantee: a view depends on its linked avatars from the moment in which its read began, although the read finds out later
 * which they are.
 */
export class Dependents {
  readonly #pathsOf = new Map<Avatar, Set<string>>()
  readonly #avatarsOf = new Map<string, readonly Avatar[]>()
  readonly #opening = new Map<string, Opening>()

  /** Call it before the read of a view begins. It replaces an earlier read of the same view. */
  begin(path: string): Opening {
    this.delete(path)
    let end: () => void = () => undefined
    const opened = new Promise<void>((resolve) => (end = resolve))
    const opening: Opening = { path, changed: new Set(), opened, end }
    this.#opening.set(path, opening)
    return opening
  }

  /**
   * Notes what a view depends on.
   *
   * @returns false if the view may be out of date already: one of the avatars has changed since `begin`
   */
  add(opening: Opening, avatars: readonly Avatar[]): boolean {
    const { path, changed } = opening
    if (this.#opening.get(path) !== opening) return true
    this.delete(path)
    if (avatars.some((avatar) => changed.has(avatar))) return false
    if (avatars.length > 0) this.#avatarsOf.set(path, avatars)
    for (const avatar of avatars) this.#pathsOf.set(avatar, (this.#pathsOf.get(avatar) ?? new Set()).add(path))
    return true
  }

  /** Ends what `begin` began, if `add` did not. */
  end(opening: Opening): void {
    if (this.#opening.get(opening.path) === opening) this.#opening.delete(opening.path)
    opening.end()
  }

  /**
   * Resolves when a read that began before the last change is known to be unaffected by it, or has been given up. Returns
   * undefined if there is nothing to wait for.
   */
  settled(path: string): Promise<void> | undefined {
    const opening = this.#opening.get(path)
    return opening === undefined || opening.changed.size === 0 ? undefined : opening.opened
  }

  /** Forgets a view. */
  delete(path: string): void {
    this.#opening.get(path)?.end()
    this.#opening.delete(path)
    for (const avatar of this.#avatarsOf.get(path) ?? []) {
      const paths = this.#pathsOf.get(avatar)
      paths?.delete(path)
      if (paths?.size === 0) this.#pathsOf.delete(avatar)
    }
    this.#avatarsOf.delete(path)
  }

  /** Notes that an avatar has changed. @returns the paths of the views that depend on it */
  changed(avatar: Avatar): readonly string[] {
    for (const { changed } of this.#opening.values()) changed.add(avatar)
    return [...(this.#pathsOf.get(avatar) ?? [])]
  }
}
