import type { Avatar } from '../record/types.ts'
import type { Source } from '../shares/types.ts'
import type { Scope } from '../store/types.ts'

/** `all`: everything that is not blocked and has not left. `listed`: just the avatars on the list. */
export type HostingMode = 'all' | 'listed'
/** Who is put on the list when its owner asks: everyone, who shows a code, or nobody. */
export type HostingPolicy = 'open' | 'invite' | 'closed'

/** Why a record is not taken, or an avatar not shown. */
export interface HostingRefusal {
  readonly code: 'not_hosted' | 'blocked'
  readonly message: string
  /** Offering the same again helps only after the operator has changed something. */
  readonly retry: false
  /** Where the avatar lives, as far as it is known: URLs and multiaddrs. */
  readonly homes: readonly string[]
}

export type HostingListName = 'hosted' | 'blocked' | 'gone'

/** One avatar on a list. */
export interface HostingEntry {
  readonly avatar: Avatar
  /** Unix seconds: since when. */
  readonly at: number
  /** Of those that are gone: where they said they live. */
  readonly homes?: readonly string[]
}

export interface HostingCounts {
  readonly hosted: number
  readonly blocked: number
  readonly gone: number
  /** Codes that nobody has used yet. */
  readonly invites: number
}

export interface HostingNews {
  /** Avatars of which what was read or refused before says nothing any more. */
  readonly changed: readonly Avatar[]
  /** Those of them that are taken now, and were not. */
  readonly admitted: readonly Avatar[]
}

/** What the other parts ask of hosting. All answers are of memory and cost a look into a table. */
export interface HostingRules {
  readonly mode: HostingMode
  readonly policy: HostingPolicy
  /** Whether this node keeps and shows the avatar. */
  hosts(avatar: Avatar): boolean
  isBlocked(avatar: Avatar): boolean
  /** Whether the avatar is on the list, which counts in the mode `listed`. */
  isListed(avatar: Avatar): boolean
  /** Why records of the avatar are refused, and reads of it answered with 404; undefined where they are not. */
  admit(avatar: Avatar): HostingRefusal | undefined
  /** Homes that are remembered of an avatar that is gone. */
  formerHomes(avatar: Avatar): readonly string[]
  counts(): HostingCounts
  /** Calls `listener` after every change that matters to others; the returned function ends it. */
  onChange(listener: (news: HostingNews) => void): () => void
}

/** The operator's side: changes are on disk when they resolve. */
export interface OperatorApi {
  /** Entries in ascending order of their avatars, `after` exclusive. */
  list(name: HostingListName, options: { readonly after?: Avatar; readonly limit: number }): HostingEntry[]
  /** @throws HostingError `hosting_full`, `failed` */
  add(avatars: readonly Avatar[]): Promise<void>
  /** Takes avatars off the list, and lets go of what is held of them. */
  remove(avatars: readonly Avatar[]): Promise<void>
  /** @param options.forget whether to let go of what is held, too */
  block(avatars: readonly Avatar[], options: { readonly forget: boolean }): Promise<void>
  unblock(avatars: readonly Avatar[]): Promise<void>
  /** Makes codes that put one avatar each on the list, under the policy `invite`. */
  invite(count: number): Promise<string[]>
  /** Makes all unused codes worthless; returns how many there were. */
  revokeInvites(): Promise<number>
  /** Lets go of all that is held and not hosted; returns how many avatars that are. */
  tidy(): Promise<number>
}

/** What owners ask for, once their statement was verified. */
export interface HostingGrants {
  /**
   * Puts an avatar on the list.
   *
   * @returns whether it was there already
   * @throws HostingError `blocked`, `stale_statement`, `hosting_closed`, `invite_required`, `invite_unknown`, `hosting_full`
   */
  grant(wish: { readonly avatar: Avatar; readonly createdAt: number; readonly invite?: string }): Promise<boolean>
  /**
   * Lets an avatar go.
   *
   * @throws HostingError `not_hosted`, `stale_statement`, `hosting_full`
   */
  release(wish: { readonly avatar: Avatar; readonly createdAt: number }): Promise<void>
}

/** What a pull has come to. */
export type PullState = 'waiting' | 'pulling' | 'done' | 'failed'

/** A pull of an avatar's records from where it lived before (`GET /v2/hosting/{avatar}`). */
export interface PullReport {
  readonly state: PullState
  readonly from: string
  /** Unix seconds. */
  readonly asked_at: number
  readonly finished_at: number | null
  /** Bytes received. */
  readonly bytes: number
  /** Records that were new here, held already, and not taken. */
  readonly stored: number
  readonly duplicate: number
  readonly refused: number
  /** Set where it failed. */
  readonly code: string | null
  readonly message: string | null
}

/** What a granted request has come to. */
export interface HostingAnswer {
  readonly status: 'granted'
  readonly action: 'host' | 'leave'
  readonly avatar: Avatar
  /** With `host`: whether it was on the list already. */
  readonly already: boolean
  /** Whether its records are being pulled. */
  readonly pulling: boolean
}

/** Where owners come with their statements. */
export interface OwnerRequests {
  /**
   * Whether one more request of a client may be handled now.
   *
   * @returns 0, or the seconds to wait
   */
  admits(source: Source): number
  /**
   * Does what a statement asks for.
   *
   * @param text the statement as it was signed
   * @param signature 64 bytes r ‖ s, or 65 with v
   * @throws HostingError why not; RecordError for a signature that is none
   */
  ask(text: string, signature: Uint8Array): Promise<HostingAnswer>
  /** The pull of an avatar that is under way, or else the last one that is remembered. */
  pullOf(avatar: Avatar): PullReport | undefined
}

export interface Hosting extends HostingRules, OperatorApi, HostingGrants {
  /** What sync is about: everything, or the avatars on the list, newest first. */
  scope(): Scope
  /** Goes on with what an end of the process has cut short. */
  resume(): void
  /** Resolves once nothing is being written or let go of. */
  settled(): Promise<void>
  close(): Promise<void>
}
