import type { RecordsPage, SubmitAnswer } from '../client/answers.ts'
import type { RecordText } from '../client/types.ts'
import type { Avatar, Citation, RecordId } from '../record/types.ts'
import type { FaultLog } from './faults.ts'

/** What a store shows of an avatar at one moment, without the content. */
export interface AvatarStatus {
  readonly head: number
  /** 64 hex digits. */
  readonly digest: string
  /** Live records; null if the host does not say. */
  readonly records: number | null
  /** Pending patches and missing ids; null if the host does not say. */
  readonly gaps: { readonly pending: number; readonly total: number; readonly ids: readonly RecordId[] } | null
  /** The greatest 16, or only the greatest if the host says no more. */
  readonly tips: readonly Citation[]
  readonly base: Citation | null
}

/**
 * A host by HTTP, as a migration uses it. Every answer is bounded and has the shape that the protocol says. Nothing else of it
 * is trusted.
 *
 * @throws HostError (errors.ts) from every call
 */
export interface HttpHost {
  readonly url: string
  /** The host's network, and the epoch of its store. */
  status(): Promise<{ readonly network: string; readonly epoch: string }>
  /** Undefined if the host does not know the avatar. */
  avatarStatus(avatar: Avatar): Promise<AvatarStatus | undefined>
  /**
   * A page in the host's order of arrival; its cursor is null if the host does not know the avatar. `expired`: the host's store
   * was replaced since it gave out the cursor.
   */
  records(avatar: Avatar, cursor: string | null): Promise<RecordsPage | 'expired'>
  submit(records: readonly RecordText[]): Promise<SubmitAnswer[]>
  /** Calls `changed` when the host reports a change of the avatar. Resolves when the connection ends. */
  follow(avatar: Avatar, changed: () => void, signal: AbortSignal): Promise<void>
}

/** What reading a host brought. */
export interface Taken {
  /** Records that were new here. */
  readonly added: number
  /** What the host showed at the end; undefined if it does not know the avatar. */
  readonly digest: string | undefined
}

/** Records that a host refused with the same code. */
export interface Refusal {
  count: number
  /** The host's message for the first of them. */
  readonly message: string
  /** Whether any of them may be taken later. */
  readonly retry: boolean
}

/** What sending to a host did. */
export interface Given {
  /** Records that were new there. */
  readonly added: number
  /** Records that were new here, if sending brings records too. */
  readonly brought: number
  /** By the host's codes; empty if the host holds all now. */
  readonly refused: ReadonlyMap<string, Refusal>
}

/** One of the two hosts, reached by HTTP or as a peer. The staging store is between them. */
export interface Side {
  /** As it was given: a URL or a multiaddr. */
  readonly name: string
  /** Brings what the host has and the staging store lacks. `fromStart`: ignores what it remembers of earlier calls. */
  take(options?: { readonly fromStart?: boolean }): Promise<Taken>
  /** Sends what the staging store has and the host lacks. `fromStart`: as above. */
  give(options?: { readonly fromStart?: boolean }): Promise<Given>
  /** What the host shows now; undefined if it does not know the avatar. */
  avatarStatus(): Promise<AvatarStatus | undefined>
  /** Records of the host that are not sound. */
  readonly faults: FaultLog
  /** Notes that the host holds everything that the staging store holds. */
  settled(): Promise<void>
  /** Calls `changed` when the host reports a change, until `signal`. */
  follow(changed: () => void, signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

/** Called with the number of records moved so far. */
export type Progress = (direction: 'read from' | 'sent to' | 'waiting for', host: string, records: number) => void
