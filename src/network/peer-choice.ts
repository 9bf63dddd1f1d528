/** Which peer of the address book a node turns to next. Pure. */
import type { Randomness } from '../platform/environment.ts'
import { groupBy, shuffled } from './address-book.ts'
import type { BookEntry } from './address-book.ts'
import { providerOf, reachOf } from './reach.ts'

export interface Choice {
  readonly nowMs: number
  /** Whether a peer is connected, being dialled, or refused. */
  readonly isTaken: (peer: string) => boolean
  /** Outgoing connections to each network of a provider. */
  readonly perProvider: ReadonlyMap<string, number>
  /** Most outgoing connections to one network of a provider. */
  readonly mostPerProvider: number
}

/**
 * An entry that worked before: an anchor first, else one of the networks with the fewest connections of this node. Each network has the
 * same chance, so a party gains nothing by many addresses in one.
 */
export function choosePeer(entries: readonly BookEntry[], choice: Choice, random: Randomness): BookEntry | undefined {
  const { nowMs, isTaken, perProvider, mostPerProvider } = choice
  const free = entries.flatMap((entry) => {
    const { signed, workedAtMs, retryAtMs } = entry
    if (workedAtMs === 0 || retryAtMs > nowMs || isTaken(signed.peer.toString())) return []
    const provider = providerOfEntry(entry)
    const there = provider === undefined ? 0 : (perProvider.get(provider) ?? 0)
    return there >= mostPerProvider ? [] : [{ entry, there, group: provider ?? signed.peer.toString() }]
  })
  const anchors = free.filter(({ entry }) => entry.isAnchor)
  if (anchors.length > 0) return shuffled(anchors, random)[0]?.entry
  const fewest = Math.min(...free.map(({ there }) => there))
  const best = free.filter(({ there }) => there === fewest)
  return fairly(best, ({ group }) => group, random)?.entry
}

/** An entry that never worked, to be probed. Each teller has the same chance, however much it told. */
export function chooseHeard(
  entries: readonly BookEntry[],
  nowMs: number,
  isTaken: (peer: string) => boolean,
  random: Randomness,
): BookEntry | undefined {
  const due = entries.filter(
    ({ workedAtMs, retryAtMs, signed }) => workedAtMs === 0 && retryAtMs <= nowMs && !isTaken(signed.peer.toString()),
  )
  return fairly(due, ({ teller }) => teller, random)
}

/** The network of the provider of the address that worked: another address of the record may be anywhere. */
function providerOfEntry({ address }: BookEntry): string | undefined {
  const reach = address === undefined ? undefined : reachOf(address)
  return reach === undefined ? undefined : providerOf(reach)
}

/** A random item of a random group. */
function fairly<T>(items: readonly T[], groupOf: (item: T) => string, random: Randomness): T | undefined {
  const [group] = shuffled([...groupBy(items, groupOf).values()], random)
  return group === undefined ? undefined : shuffled(group, random)[0]
}
