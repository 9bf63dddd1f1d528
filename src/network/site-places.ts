import { groupBy } from './address-book.ts'

interface Place {
  readonly host: string
  readonly evict: () => void
}

/**
 * Bounds what the hosts of one network of 24 bits (IPv6: 56) hold together: a party with one address often has the
 * whole network. Within a network, a host with several places loses one to a host with none.
 *
 * @param most places of one network
 */
export function createSitePlaces(most: number) {
  const sites = new Map<string, Set<Place>>()

  return {
    /**
     * Takes a place. Undefined if the network has all of its places.
     *
     * @param site undefined for hosts that are in no such network: they have no bound here
     * @returns the function that gives it back
     */
    take(site: string | undefined, host: string, evict: () => void): (() => void) | undefined {
      if (site === undefined) return () => undefined
      const places = sites.get(site) ?? new Set<Place>()
      if (places.size >= most) {
        const hosts = groupBy([...places], (place) => place.host)
        const own = hosts.get(host)?.length ?? 0
        const [richest = []] = [...hosts.values()].toSorted((a, b) => b.length - a.length)
        const [oldest] = richest
        if (oldest === undefined || richest.length <= own + 1) return undefined
        places.delete(oldest)
        oldest.evict()
      }
      const place = { host, evict }
      sites.set(site, places.add(place))
      return () => {
        places.delete(place)
        if (places.size === 0 && sites.get(site) === places) sites.delete(site)
      }
    },
  }
}
