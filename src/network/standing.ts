import type { Clock } from '../platform/environment.ts'

/** So much time halves the count of a peer's offences. */
const HALF_LIFE_MS = 600_000
/** Three offences in quick succession, or further ones soon after: cut off. */
const CUT_OFF_ABOVE = 2.5
/** What counts less than 1: a peer that is not heard of may have a bad line, or sleep. */
const WEIGHTS: ReadonlyMap<string, number> = new Map([['stalled', 0.5]])
/** How long a peer that was cut off is refused. Not for ever: it may be a good node with a bad disk. */
const REFUSED_MS = 600_000
/** A peer id costs nothing, so only so many are remembered; those whose last offence is oldest are forgotten. */
const MAX_PEERS = 1024
/** Gossip score of one offence; it grows with the square, as that of invalid messages does: −10, −40, −90. */
const SCORE = -10

interface Entry {
  count: number
  sinceMs: number
  refusedUntilMs: number
}

export interface Standing {
  /** Notes an offence. True: the peer is to be cut off now. */
  offence(peer: string, code: string): boolean
  /** Whether connections with the peer are refused now. */
  isRefused(peer: string): boolean
  /** What gossip adds to the peer's score, 0 or less: below −80 nothing is read from it (gossip-settings.ts). */
  score(peer: string): number
}

/** Remembers which peers broke the rules of sync, for a time. */
export function createStanding({ clock }: { readonly clock: Clock }): Standing {
  const entries = new Map<string, Entry>()

  function countNow(entry: Entry): number {
    // A clock that was set back would keep it for as long as it was wrong.
    entry.sinceMs = Math.min(entry.sinceMs, clock.now())
    return entry.count * 0.5 ** ((clock.now() - entry.sinceMs) / HALF_LIFE_MS)
  }

  return {
    offence(peer, code) {
      const before = entries.get(peer)
      const count = (before === undefined ? 0 : countNow(before)) + (WEIGHTS.get(code) ?? 1)
      const now = clock.now()
      const isCutOff = count > CUT_OFF_ABOVE
      entries.delete(peer)
      entries.set(peer, { count, sinceMs: now, refusedUntilMs: isCutOff ? now + REFUSED_MS : 0 })
      if (entries.size > MAX_PEERS) entries.delete(entries.keys().next().value as string)
      return isCutOff
    },
    isRefused(peer) {
      const entry = entries.get(peer)
      const restMs = entry === undefined ? 0 : entry.refusedUntilMs - clock.now()
      return restMs > 0 && restMs <= REFUSED_MS
    },
    score(peer) {
      const entry = entries.get(peer)
      return entry === undefined ? 0 : SCORE * countNow(entry) ** 2
    },
  }
}
