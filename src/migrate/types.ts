import type { Avatar, Citation, RecordId } from '../record/types.ts'

/** Where an avatar stands at one moment, without its content. */
export interface Standing {
  readonly head: number
  /** 64 hex digits. */
  readonly digest: string
  /** Live records; null where the host does not say. */
  readonly records: number | null
  /** Pending patches, and what is missing; null where the host does not say. */
  readonly gaps: { readonly pending: number; readonly total: number; readonly ids: readonly RecordId[] } | null
  /** The greatest 16, or the greatest one alone where the host does not say more. */
  readonly tips: readonly Citation[]
  readonly base: Citation | null
}

/** A record as HTTP carries it. */
export interface CarriedRecord {
  readonly payload: string
  /** `0x` + hex. */
  readonly signature: string
}

/** What a host said of one record. */
export interface CarriedVerdict {
  readonly status: string
  readonly code?: string
  readonly message?: string
  readonly retry?: boolean
}

/** A page of a host's records in its order of arrival. */
export interface CarriedPage {
  readonly records: readonly (CarriedRecord & { readonly id: string })[]
  /** Of the moment in which the last of them was read. */
  readonly digest: string
  /** Null: the host does not know the avatar. */
  readonly cursor: string | null
}

/**
 * A host by HTTP, as a migration uses it. Every answer is bounded and has the shape that the protocol says; nothing else
 * of it is trusted.
 *
 * @throws HostError (errors.ts) from every call
 */
export interface HttpHost {
  readonly url: string
  /** The host's network, and the epoch of its store. */
  status(): Promise<{ readonly network: string; readonly epoch: string }>
  /** Undefined where the host does not know the avatar. */
  standing(avatar: Avatar): Promise<Standing | undefined>
  /** `expired`: the cursor is of another life of the host's store. */
  records(avatar: Avatar, cursor: string | null): Promise<CarriedPage | 'expired'>
  submit(records: readonly CarriedRecord[]): Promise<CarriedVerdict[]>
  /** Calls `changed` when the host tells of something new of the avatar; resolves when it cannot be heard any more. */
  follow(avatar: Avatar, changed: () => void, signal: AbortSignal): Promise<void>
}

/** What taking over from a host brought. */
export interface Taken {
  /** Records that were new here. */
  readonly added: number
  /** What the host showed at the end of it, of one moment; undefined where it knows nothing of the avatar. */
  readonly digest: string | undefined
}

/** Records that a host refused, with one code. */
export interface Refusal {
  count: number
  /** What the host said of the first of them. */
  readonly message: string
  /** Whether any of them may be taken later. */
  readonly retry: boolean
}

/** What giving to a host did. */
export interface Given {
  /** Records that were new there. */
  readonly added: number
  /** Records that were new here, where giving takes as well. */
  readonly brought: number
  /** By the host's codes; empty where it holds all now. */
  readonly refused: ReadonlyMap<string, Refusal>
}

/** One of the two hosts, by whatever way it is reached. What is between them is the staging store. */
export interface Side {
  /** As it was given: a URL or a multiaddr. */
  readonly name: string
  /** Brings what the host has and the staging store lacks. `anew`: trusts nothing that it remembers of earlier calls. */
  take(options?: { readonly anew?: boolean }): Promise<Taken>
  /** Gives what the staging store has and the host lacks. `anew`: as above. */
  give(options?: { readonly anew?: boolean }): Promise<Given>
  /** What the host shows now; undefined where it knows nothing of the avatar. */
  standing(): Promise<Standing | undefined>
  /** Records that the host handed out and that are not sound: counts and examples. */
  readonly faults: Faults
  /** All that the staging store holds is known to be held by the host too. */
  settled(): Promise<void>
  /** Calls `changed` when the host has something new, as far as it tells. Until `signal`. */
  follow(changed: () => void, signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

/** What a host handed out beside sound records. */
export interface Faults {
  readonly count: number
  /** The first few, in words. */
  readonly examples: readonly string[]
}

/** Told of records moved so far. */
export interface Progress {
  taken(host: string, records: number): void
  given(host: string, records: number): void
}
