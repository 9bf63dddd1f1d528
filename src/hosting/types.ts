import type { Avatar } from '../record/types.ts'
import type { Source } from '../shares/types.ts'
import type { Scope } from '../store/types.ts'

/** `all`: host every avatar that is not blocked and has not left. `listed`: host the avatars on the list, and those to which they link. */
export type HostingMode = 'all' | 'listed'
/** Which owners get on the list when they ask: `open`: all; `invite`: those with an invitation code; `closed`: none. */
export type HostingPolicy = 'open' | 'invite' | 'closed'

/** Why a record is not accepted, or an avatar not shown. */
export interface HostingRefusal {
  readonly code: 'not_hosted' | 'blocked'
  readonly message: string
  /** A retry helps only after the operator has changed something. */
  readonly retry: false
  /** Known homes of the avatar: URLs and multiaddrs. */
  readonly homes: readonly string[]
}

/** Why records are not accepted, for a reason that is not the avatar's place on a list. */
export interface AdmissionRefusal {
  readonly code: 'disk_low' | 'disk_full' | 'policy_denied' | 'policy_unavailable'
  readonly message: string
  readonly retry: boolean
}

export type HostingListName = 'hosted' | 'blocked' | 'gone'

/** One avatar on a list. */
export interface HostingEntry {
  readonly avatar: Avatar
  /** When it was put on the list, in Unix seconds. */
  readonly at: number
  /** On the list `gone`: the homes that the avatar named. */
  readonly homes?: readonly string[]
}

export interface HostingCounts {
  readonly hosted: number
  readonly blocked: number
  readonly gone: number
  /** Unused invitation codes. */
  readonly invites: number
}

export interface HostingNews {
  /** Avatars for which earlier answers and refusals are out of date. */
  readonly changed: readonly Avatar[]
  /** Those of `changed` that the node now accepts and did not accept before. */
  readonly admitted: readonly Avatar[]
}

/** The questions that other parts ask hosting. Every answer is a look-up in memory. */
export interface HostingRules {
  readonly mode: HostingMode
  readonly policy: HostingPolicy
  /** Whether this node stores and shows the avatar. */
  hosts(avatar: Avatar): boolean
  isBlocked(avatar: Avatar): boolean
  /** Whether the avatar is on the list, which matters in the mode `listed`; linked avatars need not be. */
  isListed(avatar: Avatar): boolean
  /** Returns why records of the avatar are refused and reads of it get 404; undefined if the avatar is hosted. */
  admit(avatar: Avatar): HostingRefusal | undefined
  /** Returns the remembered homes of an avatar that is gone. */
  formerHomes(avatar: Avatar): readonly string[]
  counts(): HostingCounts
  /** Calls `listener` after every change of what is hosted; the returned function unsubscribes. */
  onChange(listener: (news: HostingNews) => void): () => void
}

/** Operations of the operator. Changes are on disk when their promises resolve. */
export interface OperatorApi {
  /** Returns entries in ascending order of their avatars, `after` exclusive. */
  list(name: HostingListName, options: { readonly after?: Avatar; readonly limit: number }): HostingEntry[]
  /** @throws HostingError `hosting_full`, `failed` */
  add(avatars: readonly Avatar[]): Promise<void>
  /** Takes avatars off the list and deletes their records. */
  remove(avatars: readonly Avatar[]): Promise<void>
  /** @param options.forget whether to delete the records, too */
  block(avatars: readonly Avatar[], options: { readonly forget: boolean }): Promise<void>
  unblock(avatars: readonly Avatar[]): Promise<void>
  /** Creates invitation codes, each for one avatar, for the policy `invite`. */
  invite(count: number): Promise<string[]>
  /** Revokes all unused codes; returns how many there were. */
  revokeInvites(): Promise<number>
  /** Deletes the records of all avatars that are not hosted; returns the number of avatars. */
  tidy(): Promise<number>
}

/** Grants the requests of owners, once their statements were verified. */
export interface HostingGrants {
  /**
   * Puts an avatar on the list.
   *
   * @returns whether it was there already
   * @throws HostingError `blocked`, `stale_statement`, `hosting_closed`, `invite_required`, `invite_unknown`, `hosting_full`
   */
  grant(request: { readonly avatar: Avatar; readonly createdAt: number; readonly invite?: string }): Promise<boolean>
  /**
   * Takes an avatar off the list at its owner's request and deletes its records.
   *
   * @throws HostingError `not_hosted`, `stale_statement`, `hosting_full`
   */
  release(request: { readonly avatar: Avatar; readonly createdAt: number }): Promise<void>
}

/** Report on a pull of an avatar's records from its previous node (`GET /v2/hosting/{avatar}`). */
export interface PullReport {
  readonly state: 'waiting' | 'pulling' | 'done' | 'failed'
  readonly from: string
  /** Unix seconds. */
  readonly asked_at: number
  readonly finished_at: number | null
  /** Bytes received. */
  readonly bytes: number
  /** Records that were new, already stored, and not accepted. */
  readonly stored: number
  readonly duplicate: number
  readonly refused: number
  /** Set if the pull failed. */
  readonly code: string | null
  readonly message: string | null
}

/** The answer to a granted request. */
export interface HostingAnswer {
  readonly status: 'granted'
  readonly action: 'host' | 'leave'
  readonly avatar: Avatar
  /** With `host`: whether it was on the list already. */
  readonly already: boolean
  /** Whether its records are being pulled. */
  readonly pulling: boolean
}

/** Accepts the signed statements of owners. */
export interface OwnerRequests {
  /**
   * Counts a request against the rate limits of its client.
   *
   * @returns 0, or the seconds to wait
   */
  admits(source: Source): number
  /**
   * Verifies a statement and does what it asks for.
   *
   * @param text exactly as it was signed
   * @param signature 64 bytes r ‖ s, or 65 with v
   * @throws HostingError if the request is rejected; RecordError for a malformed signature
   */
  ask(text: string, signature: Uint8Array): Promise<HostingAnswer>
  /** Returns the report of the current pull of an avatar, or else of the last one; undefined if none is remembered. */
  pullOf(avatar: Avatar): PullReport | undefined
}

/** Stores which pulls are unfinished, across restarts. */
export interface PullMemory {
  pulls(): readonly { readonly avatar: Avatar; readonly from: string; readonly at: number }[]
  pulling(avatar: Avatar, from: string): Promise<void>
  pulled(avatar: Avatar): Promise<void>
}

export interface Hosting extends HostingRules, OperatorApi, HostingGrants, PullMemory {
  /** The avatars that sync covers: all, or those on the list, newest first, and then those to which they link. */
  scope(): Scope
  /** Reads the links of these avatars again: call it when they have changed. It costs nothing for avatars that are not listed. */
  linksChanged(avatars: Iterable<Avatar>): void
  /** Resumes deletions that the end of the process interrupted. */
  resume(): void
  /** Resolves once no change is being written and no deletion runs. */
  settled(): Promise<void>
  close(): Promise<void>
}

/** The part of the store that hosting uses. */
export interface HeldAvatars {
  /** In ascending order, `after` exclusive. */
  avatars(options: { after?: Avatar; limit: number }): Promise<Avatar[]>
  /** Whether any record of the avatar is held. */
  isHeld(avatar: Avatar): Promise<boolean>
  /** The avatars to which the avatar links, in order of the keys. */
  links(avatar: Avatar): Promise<readonly Avatar[]>
  /** URLs and multiaddrs that the avatar lists as its homes. */
  homes(avatar: Avatar): Promise<readonly string[]>
  /** Deletes all records of an avatar. */
  forget(avatar: Avatar): Promise<void>
}
