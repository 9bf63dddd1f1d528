import type { Activity, Hold, Refusal, ShareLimits, Source } from './types.ts'

/** The holds of one key. Each set is in order of last progress, oldest first; an empty set may be missing. */
interface Host {
  readonly key: string
  readonly most: number
  /** The refusal at this key's own bound. For a shared key, whose bound is nearly the total, it is that of the total. */
  readonly bound: Refusal
  used: number
  /** Open holds, pinned ones included. */
  holds: number
  idle: Set<Held> | undefined
  busy: Set<Held> | undefined
}

/**
 * Divides a limited resource (places, bytes) between hosts.
 *
 * Guarantees: all holds together never exceed `total`, and one key never exceeds its share. A key that holds little gets room
 * as long as another key holds a greater part of its own share: that key loses its idle holds first, then the hold that has
 * made no progress for the longest time. Holds without `evict` are never evicted; for them, `reserve` keeps room for others.
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
   * Takes units for a new holder, which starts as `busy`.
   *
   * @param units at least 1: evicting a hold must free something
   * @param evict ends the holder, at once and without an error; its units are released for it
   */
  take({ key, isShared = false }: Source, units: number, evict?: () => void): Hold | Refusal {
    const host = this.#hosts.get(key) ?? this.#newHost(key, isShared)
    const refusal = this.#makeRoom(host, units)
    if (refusal !== undefined) return refusal
    // The key is new, or was removed when it evicted its own last hold.
    if (host.holds === 0) this.#hosts.set(key, host)
    host.used += units
    host.holds += 1
    this.#used += units
    this.#count += 1
    const held = new Held(this, host, units, evict)
    this.place(held, 'busy')
    return held
  }

  /** For `Hold.grow`. */
  grow(held: Held, units: number): Refusal | undefined {
    const { host } = held
    const refusal = this.#makeRoom(host, units, held)
    if (refusal !== undefined) return refusal
    held.units += units
    host.used += units
    this.#used += units
    return undefined
  }

  #newHost(key: string, isShared: boolean): Host {
    const { total, perKey, reserve } = this.#limits
    const most = isShared ? Math.max(perKey, total - reserve) : perKey
    const bound = isShared || perKey >= total ? 'full' : 'key_full'
    return { key, most, bound, used: 0, holds: 0, idle: undefined, busy: undefined }
  }

  /** Finds room for more units of a host, by eviction if need be. */
  #makeRoom(host: Host, units: number, keep?: Held): Refusal | undefined {
    while (host.used + units > host.most) {
      const own = this.#ownIdle(host, keep)
      if (own === undefined) return host.bound
      this.#evict(own)
    }
    const { total, reserve, small } = this.#limits
    const limit = host.used + units > small ? total - reserve : total
    while (this.#used + units > limit) {
      const victim = this.#victim(host, (host.used + units) / host.most) ?? this.#ownIdle(host, keep)
      if (victim === undefined) return 'full'
      this.#evict(victim)
    }
    return undefined
  }

  /** The hold to evict for a host that would then hold `part` of its share; undefined if no other host holds more. */
  #victim(host: Host, part: number): Held | undefined {
    let idlest: Host | undefined
    let busiest: Host | undefined
    for (const each of this.#hosts.values()) {
      if (each === host || partOf(each) <= part) continue
      if (hasAny(each.idle) && (idlest === undefined || partOf(each) > partOf(idlest))) idlest = each
      if (hasAny(each.busy) && (busiest === undefined || partOf(each) > partOf(busiest))) busiest = each
    }
    return firstExcept(idlest === undefined ? busiest?.busy : idlest.idle)
  }

  /** The hold that a host gives up for its own next one, if it replaces its idle holds. */
  #ownIdle(host: Host, keep: Held | undefined): Held | undefined {
    return this.#limits.replacesIdle === true ? firstExcept(host.idle, keep) : undefined
  }

  #evict(held: Held): void {
    this.#evicted += 1
    this.forget(held)
    held.evict?.()
  }

  /** For `Hold.mark`. */
  place(held: Held, activity: Activity): void {
    if (held.isOver || held.evict === undefined) return
    held.among?.delete(held)
    held.among = activity === 'pinned' ? undefined : (held.host[activity] ??= new Set())
    held.among?.add(held)
  }

  /** For `Hold.release`. */
  forget(held: Held): void {
    if (held.isOver) return
    held.isOver = true
    held.among?.delete(held)
    const { host, units } = held
    host.used -= units
    this.#used -= units
    this.#count -= 1
    host.holds -= 1
    if (host.holds === 0) this.#hosts.delete(host.key)
  }
}

class Held implements Hold {
  units: number
  isOver = false
  /** The set of its host that contains this hold. */
  among: Set<Held> | undefined
  readonly host: Host
  readonly evict: (() => void) | undefined
  readonly #shares: Shares

  constructor(shares: Shares, host: Host, units: number, evict: (() => void) | undefined) {
    this.#shares = shares
    this.host = host
    this.units = units
    this.evict = evict
  }

  grow(units: number): Refusal | undefined {
    return this.isOver ? 'full' : this.#shares.grow(this, units)
  }

  mark(activity: Activity): void {
    this.#shares.place(this, activity)
  }

  release(): void {
    this.#shares.forget(this)
  }
}

function partOf({ used, most }: Host): number {
  return used / most
}

function hasAny(holds: ReadonlySet<Held> | undefined): boolean {
  return holds !== undefined && holds.size > 0
}

function firstExcept(holds: ReadonlySet<Held> | undefined, except?: Held): Held | undefined {
  if (holds !== undefined) for (const each of holds) if (each !== except) return each
  return undefined
}
