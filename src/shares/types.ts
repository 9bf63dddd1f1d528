/** The party that a share is counted for. */
export interface Source {
  /** One key per host: see `hostOf`. */
  readonly key: string
  /**
   * Many parties may stand behind the key, as behind a reverse proxy that does not name its clients: the key may have
   * everything except the reserve.
   */
  readonly isShared?: boolean
}

export interface ShareLimits {
  /** Units in all: places, or bytes. */
  readonly total: number
  /** Units that one key may have. */
  readonly perKey: number
  /** The last units of `total`: only keys that hold at most `small` units afterwards may take them. */
  readonly reserve: number
  /** What a modest host needs, in units. Above 0, else the reserve serves nobody. */
  readonly small: number
  /** Instead of being refused a key loses its own longest idle hold. Default: false. */
  readonly replacesIdle?: boolean
}

/** Why nothing was given: the key has its share, or all units are taken by keys that hold no more than this one. */
export type Refusal = 'key_full' | 'full'

/**
 * What the holder does at the moment. `idle` holds are evicted first, then `busy` ones; a `pinned` one never is, because
 * the node itself works on it and will finish.
 */
export type Activity = 'idle' | 'busy' | 'pinned'

/** Units that one holder has. */
export interface Hold {
  readonly units: number
  /** Takes more units. On a refusal nothing changes. */
  grow(units: number): Refusal | undefined
  /** Says what the holder does now. Also counts as progress: of equal holds the one without progress is evicted first. */
  mark(activity: Activity): void
  /** Gives all units back. Further calls do nothing. */
  release(): void
}
