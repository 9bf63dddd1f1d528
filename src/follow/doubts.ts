/**
 * Notices peers that say that they keep an avatar and do not send its records.
 *
 * A record that came by sync must also come by the streams of its avatar: a peer sends each record that is new to it. If one does
 * not, the peer either keeps records back or gets them late; both make it a poor source. A wrong doubt costs little: the node
 * follows the avatar at one more peer.
 */
import { createHash } from 'node:crypto'

import type { Clock, Timers } from '../platform/environment.ts'
import type { Avatar, SignedRecord } from '../record/types.ts'
import { DEBT_MS, DOUBT_MS, MAX_DEBTS, MAX_DOUBTED_PEERS, MAX_RECENT, UNCOMPARED_MS } from './limits.ts'

/** A stream to a peer. */
interface Claim {
  /** The avatars that the peer says it keeps, and since when it says so. */
  readonly since: Map<Avatar, number>
  /** Records that the peer has not sent yet, by the hash of the payload. */
  readonly debts: Map<string, { readonly avatar: Avatar; readonly dueMs: number }>
  /** The last records that the peer sent, oldest first. */
  readonly recent: Set<string>
  excusedAtMs: number
}

export interface DoubtsComponents {
  readonly clock: Clock
  readonly timers: Timers
  readonly avatarOf: (payload: Uint8Array) => Avatar | undefined
  /** When the last comparison with a peer ended, in Unix milliseconds; undefined if there was none. */
  readonly comparedAtMs: (peer: string) => number | undefined
  /** Called when a peer is doubted that was not. */
  readonly onDoubt: (peer: string) => void
}

export function createDoubts({ clock, timers, avatarOf, comparedAtMs, onDoubt }: DoubtsComponents) {
  const claims = new Map<string, Claim>()
  /** Until when a peer is doubted, for each avatar. It outlives the stream. */
  const doubts = new Map<string, Map<Avatar, number>>()
  let cancelLook: (() => void) | undefined

  function look(): void {
    cancelLook = undefined
    const now = clock.now()
    for (const [peer, { debts }] of claims) {
      const due = [...debts].filter(([, { dueMs }]) => dueMs <= now)
      for (const [key, { avatar }] of due) {
        debts.delete(key)
        doubt(peer, avatar)
      }
    }
    lookLater()
  }

  function lookLater(): void {
    const due = [...claims.values()].flatMap(({ debts }) => [...debts.values()].map(({ dueMs }) => dueMs))
    if (due.length > 0) cancelLook ??= timers.after(Math.max(0, Math.min(...due) - clock.now()), look)
  }

  function doubt(peer: string, avatar: Avatar): void {
    const ofPeer = doubts.get(peer) ?? new Map<Avatar, number>()
    doubts.set(peer, ofPeer)
    const [oldest] = doubts.keys()
    if (doubts.size > MAX_DOUBTED_PEERS && oldest !== undefined) doubts.delete(oldest)
    const isNew = !isDoubted(peer, avatar)
    ofPeer.set(avatar, clock.now() + DOUBT_MS)
    if (isNew) onDoubt(peer)
  }

  const isDoubted = (peer: string, avatar: Avatar): boolean => (doubts.get(peer)?.get(avatar) ?? 0) > clock.now()

  /** Forgets the doubts that are over. */
  function tidy(): void {
    for (const [peer, avatars] of doubts) {
      for (const [avatar, untilMs] of avatars) if (untilMs <= clock.now()) avatars.delete(avatar)
      if (avatars.size === 0) doubts.delete(peer)
    }
  }

  /** Whether all that the peer had when it began to send the avatar must have come by now. */
  function owes(peer: string, sinceMs: number): boolean {
    const comparedMs = comparedAtMs(peer)
    return comparedMs === undefined ? clock.now() - sinceMs > UNCOMPARED_MS : comparedMs > sinceMs
  }

  return {
    isDoubted,
    /** Whether the peer is doubted for any avatar. */
    isAnyDoubted: (peer: string): boolean => [...(doubts.get(peer)?.keys() ?? [])].some((one) => isDoubted(peer, one)),
    tidy,
    /** The peer has answered which avatars it keeps. */
    answered(peer: string, kept: ReadonlySet<Avatar>): void {
      const before = claims.get(peer)
      const since = new Map([...kept].map((avatar) => [avatar, before?.since.get(avatar) ?? clock.now()]))
      const excusedAtMs = before?.excusedAtMs ?? Number.NEGATIVE_INFINITY
      claims.set(peer, { since, debts: new Map(), recent: before?.recent ?? new Set(), excusedAtMs })
    },
    /** The stream to the peer has ended. */
    ended: (peer: string): void => void claims.delete(peer),
    /** The peer says that it dropped records, or this node could not take some. An excuse counts once in a while. */
    excuse(peer: string): void {
      const claim = claims.get(peer)
      if (claim === undefined || clock.now() - claim.excusedAtMs < DOUBT_MS) return
      claim.excusedAtMs = clock.now()
      claim.debts.clear()
      for (const avatar of claim.since.keys()) claim.since.set(avatar, clock.now())
    },
    /** The peer has sent records. */
    sent(peer: string, records: readonly SignedRecord[]): void {
      const claim = claims.get(peer)
      if (claim === undefined) return
      for (const { payload } of records) {
        const key = keyOf(payload)
        claim.debts.delete(key)
        claim.recent.add(key)
        const [oldest] = claim.recent
        if (claim.recent.size > MAX_RECENT && oldest !== undefined) claim.recent.delete(oldest)
      }
    },
    /** Records that were new to this node came by sync. */
    synced(records: readonly SignedRecord[]): void {
      if (claims.size === 0) return
      for (const { payload } of records) {
        const avatar = avatarOf(payload)
        if (avatar === undefined) continue
        let key: string | undefined
        for (const [peer, { since, debts, recent }] of claims) {
          const sinceMs = since.get(avatar)
          if (sinceMs === undefined || debts.size >= MAX_DEBTS || !owes(peer, sinceMs)) continue
          key ??= keyOf(payload)
          if (!recent.has(key)) debts.set(key, { avatar, dueMs: clock.now() + DEBT_MS })
        }
      }
      lookLater()
    },
    stop(): void {
      cancelLook?.()
      claims.clear()
    },
  }
}

function keyOf(payload: Uint8Array): string {
  return createHash('sha256').update(payload).digest('base64')
}
