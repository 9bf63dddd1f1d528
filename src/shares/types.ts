/** The party whose share counts. */
export interface Source {
  /** One key for each host: see `hostOf`. */
  readonly key: string
  /**
   * Many parties may share the key, as behind a reverse proxy that does not name its clients. Such a key may have everything
   * except the reserve.
   */
  readonly isShared?: boolean
}

export interface ShareLimits {
  /** All units: places, or bytes. */
  readonly total: number
  /** Units that one key may have. */
  readonly perKey: number
  /** The last units of `total`: only keys that hold at most `small` units afterwards may take them. */
  readonly reserve: number
  /** Units that a modest host needs. Must be above 0, or no host could use the reserve. */
  readonly small: number
  /** At its bound, a key loses its own longest idle hold instead of being refused. Default: false. */
  readonly replacesIdle?: boolean
}

/** Why units were refused: the key has its whole share, or all units belong to keys that hold no more than this one. */
export type Refusal = 'key_full' | 'full'

/**
 * The current state of a holder. `idle` holds are evicted first, then `busy` ones. A `pinned` hold is never evicted, because
 * the node itself is working on it and will finish.
 */
export type Activity = 'idle' | 'busy' | 'pinned'

/** Units that one holder has. */
export interface Hold {
  readonly units: number
  /** Takes more units. On a refusal nothing changes. */
  grow(units: number): Refusal | undefined
  /** Sets the state of the holder. Counts as progress: of equal holds, the one without progress is evicted first. */
  mark(activity: Activity): void
  /** Releases all units. Further calls do nothing. */
  release(): void
}
