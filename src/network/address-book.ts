/**
 * Where peers can be found: signed addresses that peers told, and whether they worked.
 *
 * Guarantees: the book is bounded in total, per network and per teller; an address that worked is never evicted by one that a
 * stranger told; only addresses that worked are passed on.
 * Not guaranteed: a fair division with a party that has many networks.
 */
import type { Multiaddr } from '@multiformats/multiaddr'

import { backOffMs, fraction } from '../platform/back-off.ts'
import type { Environment } from '../platform/environment.ts'
import type { SignedPeer } from './peer-record.ts'
import { mayHearOf, reachOf, siteOf } from './reach.ts'
import type { Scope } from './reach.ts'

export interface AddressBookLimits {
  /** Entries whose addresses never worked; about 2 KB each. */
  readonly heard: number
  /** Entries that worked. */
  readonly tried: number
  /** Entries of one network of 24 bits (IPv6: 56). */
  readonly perSite: number
  /** Entries that never worked, told by one network of 16 bits (IPv6: 32). */
  readonly perTeller: number
  /** An entry is not passed on if it last worked longer ago. */
  readonly freshMs: number
  /** First wait after a failure, and the longest. */
  readonly retryMs: number
  readonly longestRetryMs: number
  /** Failures in a row after which an entry is forgotten: one that never worked, and one that did. */
  readonly heardFailures: number
  readonly triedFailures: number
}

export interface BookEntry {
  readonly signed: SignedPeer
  /** The network of the peer that told it. */
  readonly teller: string
  /** When a connection to it last worked, in milliseconds since the Unix epoch; 0: never. */
  readonly workedAtMs: number
  /** In a row. */
  readonly failures: number
  /** It is not dialled before this time. */
  readonly retryAtMs: number
  /** It was connected when the book was last saved, so it is dialled first. */
  readonly isAnchor: boolean
  /** The address that worked. The others of the record are a claim. */
  readonly address: Multiaddr | undefined
}

type Changeable = { -readonly [key in keyof BookEntry]: BookEntry[key] } & { readonly sites: readonly string[] }

export type AddressBook = ReturnType<typeof createAddressBook>

const keyOf = ({ scope, peer }: SignedPeer): string => `${scope}/${peer.toString()}`

export function createAddressBook({ clock, random }: Pick<Environment, 'clock' | 'random'>, limits: AddressBookLimits) {
  /** By scope and peer id: a peer has one record for each scope. */
  const entries = new Map<string, Changeable>()
  let changes = 0

  const all = (isTried: boolean): Changeable[] =>
    [...entries.values()].filter((each) => each.workedAtMs > 0 === isTried)

  function remove({ signed }: BookEntry): void {
    entries.delete(keyOf(signed))
    changes += 1
  }

  /** Makes room in a full group of entries that never worked: evicts one that failed, or one of the teller with the most. */
  function evictHeard(group: readonly Changeable[], newTeller: string): boolean {
    const failed = group.filter(({ failures }) => failures > 0).toSorted((a, b) => b.failures - a.failures)[0]
    if (failed !== undefined) {
      remove(failed)
      return true
    }
    const told = groupBy(group, ({ teller }) => teller)
    const most = [...told.values()].toSorted((a, b) => b.length - a.length)[0]
    const own = told.get(newTeller)?.length ?? 0
    const victim = most?.[Math.floor(fraction(random) * most.length)]
    if (most === undefined || victim === undefined || most.length <= own + 1) return false
    remove(victim)
    return true
  }

  function hasRoom(sites: readonly string[], teller: string): boolean {
    for (const site of sites) {
      const there = [...entries.values()].filter((each) => each.sites.includes(site))
      if (there.length < limits.perSite) continue
      const failed = there.find((each) => each.failures > 0)
      if (failed === undefined) return false
      remove(failed)
    }
    const heard = all(false)
    const own = heard.filter((each) => each.teller === teller)
    if (own.length >= limits.perTeller) return evictHeard(own, '')
    return heard.length < limits.heard || evictHeard(heard, teller)
  }

  function update(entry: Changeable, signed: SignedPeer): void {
    if (signed.seq <= entry.signed.seq) return
    const isSame = signed.addresses.every((address) => entry.signed.addresses.some((old) => old.equals(address)))
    remove(entry)
    // The networks of the new addresses are bounded like those of a new peer.
    const sites = sitesOf(signed)
    if (!isSame && !hasRoom(sites, entry.teller)) return
    const retry = isSame ? {} : { failures: 0, retryAtMs: 0, workedAtMs: 0, address: undefined }
    entries.set(keyOf(signed), { ...entry, ...retry, signed, sites })
  }

  return {
    /** Remembers what a peer told. `teller` is the network of that peer. */
    add(signed: SignedPeer, teller: string): void {
      const known = entries.get(keyOf(signed))
      if (known !== undefined) return update(known, signed)
      const sites = sitesOf(signed)
      if (!hasRoom(sites, teller)) return
      const fresh = { workedAtMs: 0, failures: 0, retryAtMs: 0, isAnchor: false, address: undefined }
      entries.set(keyOf(signed), { signed, teller, sites, ...fresh })
      changes += 1
    },
    /** Takes an entry of a saved book. */
    restore(signed: SignedPeer, saved: Omit<BookEntry, 'signed' | 'retryAtMs'>): void {
      if (all(true).length >= limits.tried) return
      // A clock that was ahead must not make an entry fresh for ever.
      const workedAtMs = Math.min(saved.workedAtMs, clock.now())
      entries.set(keyOf(signed), { signed, sites: sitesOf(signed), ...saved, workedAtMs, retryAtMs: 0 })
    },
    /** A connection to an address of this entry worked. */
    worked({ signed }: BookEntry, address: Multiaddr): void {
      const entry = entries.get(keyOf(signed))
      if (entry === undefined) return
      Object.assign(entry, { workedAtMs: clock.now(), failures: 0, retryAtMs: 0, address })
      changes += 1
      const tried = all(true)
      if (tried.length > limits.tried) remove(tried.reduce((a, b) => (a.workedAtMs <= b.workedAtMs ? a : b)))
    },
    /** No connection to this entry came about, or it did not last. */
    failed({ signed }: BookEntry): void {
      const entry = entries.get(keyOf(signed))
      if (entry === undefined) return
      entry.retryAtMs = clock.now() + backOffMs(entry.failures, limits.retryMs, limits.longestRetryMs)
      entry.failures += 1
      entry.isAnchor = false
      changes += 1
      if (entry.failures >= (entry.workedAtMs > 0 ? limits.triedFailures : limits.heardFailures)) remove(entry)
    },
    /** All that worked once may be dialled now, as after a change of this machine's addresses. */
    retryNow(): void {
      for (const entry of all(true)) entry.retryAtMs = 0
    },
    entries: (): readonly BookEntry[] => [...entries.values()],
    /** Signed records of up to `count` peers for a peer in `scope`, chosen at random from those that worked lately. */
    toTell(scope: Scope, count: number, except: string): Uint8Array[] {
      const oldestMs = clock.now() - limits.freshMs
      const some = all(true).filter(
        ({ signed, workedAtMs, failures }) =>
          mayHearOf(scope, signed.scope) &&
          workedAtMs >= oldestMs &&
          failures === 0 &&
          signed.peer.toString() !== except,
      )
      return shuffled(some, random)
        .slice(0, count)
        .map(({ signed }) => signed.bytes)
    },
    /** Grows with every change. */
    changes: () => changes,
  }
}

function sitesOf({ addresses }: SignedPeer): string[] {
  const sites = addresses.flatMap((address) => {
    const reach = reachOf(address)
    return reach === undefined ? [] : [siteOf(reach)]
  })
  return [...new Set(sites)].filter((site) => site !== undefined)
}

/** The items in random order. */
export function shuffled<T>(items: readonly T[], random: Environment['random']): T[] {
  return items
    .map((item) => ({ item, at: fraction(random) }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item)
}

/** As `Map.groupBy`, which Node.js 20 lacks. */
export function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const group = groups.get(keyOf(item))
    if (group === undefined) groups.set(keyOf(item), [item])
    else group.push(item)
  }
  return groups
}
