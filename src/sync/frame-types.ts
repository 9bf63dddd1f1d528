/** The frames of a session, as defined in sync.proto, which also says when each is sent. */
import type { Bound } from '../negentropy/types.ts'
import type { SignedRecord } from '../record/types.ts'
import type { RefusalCode } from './errors.ts'

/** A compressed public key. */
export const AVATAR_BYTES = 33

/** Avatars and a fingerprint of each, both as in sync.proto. */
export interface FrameList {
  readonly avatars: Uint8Array
  readonly fingerprints: Uint8Array
}

export interface HelloFrame {
  readonly kind: 'hello'
  readonly version: number
  readonly network: string
  readonly purpose: 'reconcile' | 'fetch'
  readonly list: FrameList | null
  readonly count: number
  readonly opening: Uint8Array
  readonly mark: Bound | null
}

export interface WelcomeFrame {
  readonly kind: 'welcome'
  readonly count: number
  readonly below: number
  readonly answer: Uint8Array
  readonly list: FrameList | null
  readonly common: Uint8Array
  readonly differing: Uint8Array
}

export interface RefusedEntry {
  readonly id: Uint8Array
  /** 0: never. */
  readonly retrySeconds: number
}

export type Frame =
  | HelloFrame
  | WelcomeFrame
  | { readonly kind: 'refusal'; readonly code: RefusalCode | 'unknown' }
  | { readonly kind: 'reconcile'; readonly pass: number; readonly message: Uint8Array; readonly subset: Uint8Array }
  | { readonly kind: 'reconciled'; readonly pass: number; readonly message: Uint8Array }
  | { readonly kind: 'bulk'; readonly from: Bound }
  | { readonly kind: 'request'; readonly ids: Uint8Array }
  | { readonly kind: 'records'; readonly records: readonly SignedRecord[] }
  | { readonly kind: 'delivered'; readonly missing: Uint8Array }
  | { readonly kind: 'taken'; readonly refused: readonly RefusedEntry[] }

export const KINDS = [
  'hello',
  'welcome',
  'refusal',
  'reconcile',
  'reconciled',
  'bulk',
  'request',
  'records',
  'delivered',
  'taken',
] as const satisfies readonly Frame['kind'][]

/** The numbers of `Refusal.Code` are indices of this list. */
export const REFUSALS = [
  'unknown',
  'wrong_network',
  'unsupported_version',
  'busy',
  'full',
  'reversed',
  'stopping',
  'scope',
] as const satisfies readonly (RefusalCode | 'unknown')[]

/** The members of a Welcome that says nothing about the records held. */
export const NOTHING_KNOWN = {
  count: 0,
  below: 0,
  answer: new Uint8Array(0),
  list: null,
  common: new Uint8Array(0),
  differing: new Uint8Array(0),
}
