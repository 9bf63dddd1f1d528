import type { Clock } from '../platform/environment.ts'

/** The count of a peer's offences halves in this time. */
const HALF_LIFE_MS = 600_000
/** Above this count a peer is disconnected: three offences in quick succession, or further ones soon after. */
const CUT_OFF_ABOVE = 2.5
/** Offences that count less than 1: a silent peer may have a bad line, or sleep. */
const WEIGHTS: ReadonlyMap<string, number> = new Map([['stalled', 0.5]])
/** How long a disconnected peer is refused. Not for ever: it may be an honest node with a bad disk. */
const REFUSED_MS = 600_000
/** Peers remembered. A peer id costs nothing, so the number is bounded; the peer with the oldest last offence is forgotten first. */
const MAX_PEERS = 1024
/** Gossip score of one offence; it grows with the square, as that of invalid messages does: −10, −40, −90. */
const SCORE = -10

interface Entry {
  count: number
  sinceMs: number
  refusedUntilMs: number
}

/** Remembers which peers broke the rules of sync, for a time. */
export function createPeerReputation({ clock }: { readonly clock: Clock }) {
  const entries = new Map<string, Entry>()

  function countNow(entry: Entry): number {
    // If the clock was set back, the offence would otherwise count for as long as the clock was wrong.
    entry.sinceMs = Math.min(entry.sinceMs, clock.now())
    return entry.count * 0.5 ** ((clock.now() - entry.sinceMs) / HALF_LIFE_MS)
  }

  return {
    /** Counts an offence. Returns true if the peer must be disconnected now. */
    offence(peer: string, code: string): boolean {
      const before = entries.get(peer)
      const count = (before === undefined ? 0 : countNow(before)) + (WEIGHTS.get(code) ?? 1)
      const now = clock.now()
      const isCutOff = count > CUT_OFF_ABOVE
      entries.delete(peer)
      entries.set(peer, { count, sinceMs: now, refusedUntilMs: isCutOff ? now + REFUSED_MS : 0 })
      if (entries.size > MAX_PEERS) entries.delete(entries.keys().next().value as string)
      return isCutOff
    },
    /** Whether connections with the peer are refused now. */
    isRefused(peer: string): boolean {
      const entry = entries.get(peer)
      const restMs = entry === undefined ? 0 : entry.refusedUntilMs - clock.now()
      return restMs > 0 && restMs <= REFUSED_MS
    },
    /** What gossip adds to the peer's score, 0 or less: below −80 nothing is read from it (gossip-settings.ts). */
    score(peer: string): number {
      const entry = entries.get(peer)
      return entry === undefined ? 0 : SCORE * countNow(entry) ** 2
    },
  }
}

export type PeerReputation = ReturnType<typeof createPeerReputation>
