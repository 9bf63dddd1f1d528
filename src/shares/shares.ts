import type { Activity, Hold, Refusal, ShareLimits, Source } from './types.ts'

/** All that one key holds. The sets are in order of last progress, oldest first. */
interface Host {
  readonly key: string
  readonly most: number
  /** What a refusal at its own bound says: a key that may have nearly everything meets the bound of all. */
  readonly bound: Refusal
  used: number
  /** Open holds, pinned ones included. */
  holds: number
  readonly idle: Set<Held>
  readonly busy: Set<Held>
}

/**
 * Divides a limited resource (places, bytes) between hosts.
 *
 * Guarantees: all holds together never exceed `total`, one key never exceeds its share, and a key that holds little finds
 * room as long as another key holds a greater part of its own share: that key loses its idle holds first, then the hold
 * without progress for the longest time. Holds without `evict` are never evicted; for those `reserve` keeps room for others.
 *
 * Not guaranteed: a fair division between parties that hold many keys each.
 */
export class Shares {
  readonly #limits: ShareLimits
  readonly #hosts = new Map<string, Host>()
  #used = 0
  #count = 0
  #evicted = 0

  constructor(limits: ShareLimits) {
    this.#limits = limits
  }

  /** Units taken. */
  get used(): number {
    return this.#used
  }

  /** Open holds. */
  get count(): number {
    return this.#count
  }

  /** Holds evicted since the start, for a metric. */
  get evicted(): number {
    return this.#evicted
  }

  /** Units that a key holds. */
  usedBy(key: string): number {
    return this.#hosts.get(key)?.used ?? 0
  }

  /**
   * Takes units for a new holder, which is `busy`.
   *
   * @param units at least 1: evicting a hold must free something
   * @param evict ends the holder, at once and without an error; its units are given back without its help
   */
  take({ key, isShared = false }: Source, units: number, evict?: () => void): Hold | Refusal {
    const host = this.#hosts.get(key) ?? this.#newHost(key, isShared)
    const refusal = this.#makeRoom(host, units)
    if (refusal !== undefined) return refusal
    this.#hosts.set(key, host)
    host.used += units
    host.holds += 1
    this.#used += units
    this.#count += 1
    const held = new Held(units, evict, {
      grow: (more) => {
        const refused = this.#makeRoom(host, more, held)
        if (refused !== undefined) return refused
        host.used += more
        this.#used += more
        return undefined
      },
      mark: (activity) => this.#place(host, held, activity),
      release: () => this.#forget(host, held),
    })
    this.#place(host, held, 'busy')
    return held
  }

  #newHost(key: string, isShared: boolean): Host {
    const { total, perKey, reserve } = this.#limits
    const most = isShared ? Math.max(perKey, total - reserve) : perKey
    const bound = isShared || perKey >= total ? 'full' : 'key_full'
    return { key, most, bound, used: 0, holds: 0, idle: new Set(), busy: new Set() }
  }

  /** Finds room for more units of a host, by eviction if need be. */
  #makeRoom(host: Host, units: number, keep?: Held): Refusal | undefined {
    while (host.used + units > host.most) {
      const own = this.#ownIdle(host, keep)
      if (own === undefined) return host.bound
      this.#evict(host, own.held)
    }
    const { total, reserve, small } = this.#limits
    const limit = host.used + units > small ? total - reserve : total
    while (this.#used + units > limit) {
      const victim = this.#victim(host, (host.used + units) / host.most) ?? this.#ownIdle(host, keep)
      if (victim === undefined) return 'full'
      this.#evict(victim.host, victim.held)
    }
    return undefined
  }

  /** The hold to evict for a host that would then hold `part` of its share; none where no other host holds more. */
  #victim(host: Host, part: number): { host: Host; held: Held } | undefined {
    let idlest: Host | undefined
    let busiest: Host | undefined
    for (const each of this.#hosts.values()) {
      if (each === host || partOf(each) <= part) continue
      if (each.idle.size > 0 && (idlest === undefined || partOf(each) > partOf(idlest))) idlest = each
      if (each.busy.size > 0 && (busiest === undefined || partOf(each) > partOf(busiest))) busiest = each
    }
    const chosen = idlest ?? busiest
    const held = chosen === undefined ? undefined : firstExcept(idlest === undefined ? chosen.busy : chosen.idle)
    return chosen === undefined || held === undefined ? undefined : { host: chosen, held }
  }

  /** The hold that a host gives up for its own next one, if it replaces its idle holds. */
  #ownIdle(host: Host, keep: Held | undefined): { host: Host; held: Held } | undefined {
    const held = this.#limits.replacesIdle === true ? firstExcept(host.idle, keep) : undefined
    return held === undefined ? undefined : { host, held }
  }

  #evict(host: Host, held: Held): void {
    this.#evicted += 1
    this.#forget(host, held)
    held.evict?.()
  }

  #place(host: Host, held: Held, activity: Activity): void {
    if (held.isOver) return
    host.idle.delete(held)
    host.busy.delete(held)
    if (held.evict !== undefined && activity !== 'pinned') host[activity].add(held)
  }

  #forget(host: Host, held: Held): void {
    if (held.isOver) return
    held.isOver = true
    host.idle.delete(held)
    host.busy.delete(held)
    host.used -= held.units
    this.#used -= held.units
    this.#count -= 1
    host.holds -= 1
    if (host.holds === 0) this.#hosts.delete(host.key)
  }
}

class Held implements Hold {
  units: number
  isOver = false
  readonly evict: (() => void) | undefined
  readonly #pool: Pick<Hold, 'grow' | 'mark' | 'release'>

  constructor(units: number, evict: (() => void) | undefined, pool: Pick<Hold, 'grow' | 'mark' | 'release'>) {
    this.units = units
    this.evict = evict
    this.#pool = pool
  }

  grow(units: number): Refusal | undefined {
    if (this.isOver) return 'full'
    const refusal = this.#pool.grow(units)
    if (refusal === undefined) this.units += units
    return refusal
  }

  mark(activity: Activity): void {
    this.#pool.mark(activity)
  }

  release(): void {
    this.#pool.release()
  }
}

function partOf({ used, most }: Host): number {
  return used / most
}

function firstExcept(holds: ReadonlySet<Held>, except?: Held): Held | undefined {
  for (const each of holds) if (each !== except) return each
  return undefined
}
