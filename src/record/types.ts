/**
 * The types of records (docs/protocol.md, "Payload"). Member names are those of the signed JSON, so a parsed payload needs no
 * conversion.
 */

/** `0x` + 64 lower-case hex digits: the digest that was signed. Text order is byte order. */
export type RecordId = `0x${string}`

/** Canonical text of an avatar: `0x` + 66 lower-case hex digits, a compressed secp256k1 public key. */
export type Avatar = `0x${string}`

/** Any JSON value. */
export type JsonValue = string | number | boolean | null | JsonValue[] | JsonObject
/** A JSON object. Every name is an ordinary key, `__proto__` too. */
export interface JsonObject {
  [key: string]: JsonValue
}

/** A place in an avatar's history, as cited in `prev`. Places are ordered by (counter, id). */
export interface Citation {
  readonly counter: number
  readonly id: RecordId
}

/** One namespace in a snapshot's or part's `state`. */
export interface StateEntry {
  readonly content: JsonObject
  readonly identity: string
  readonly platform: string
}

interface CommonBody {
  readonly avatar: Avatar
  readonly counter: number
  /** Unix seconds, as claimed by the author. */
  readonly created_at: number
  readonly network: string
  readonly uuid: string
  readonly version: '2'
}

/** A change to one namespace. */
export interface PatchBody extends CommonBody {
  readonly type: 'patch'
  readonly identity: string
  readonly patch: JsonObject
  readonly platform: string
  readonly prev: readonly Citation[]
}

/** A state that replaces all records before it. */
export interface SnapshotBody extends CommonBody {
  readonly type: 'snapshot'
  readonly parts: readonly RecordId[]
  readonly prev: readonly Citation[]
  readonly state: readonly StateEntry[]
}

/** A piece of a snapshot that is too large for one record. */
export interface PartBody extends CommonBody {
  readonly type: 'part'
  readonly state: readonly StateEntry[]
}

/** A decoded payload: every rule of docs/protocol.md "Payload" holds for it. */
export type RecordBody = PatchBody | SnapshotBody | PartBody

/** A record as it travels: exact payload bytes and a 64-byte signature r ‖ s. Nothing is checked yet. */
export interface SignedRecord {
  readonly payload: Uint8Array
  readonly signature: Uint8Array
}

declare const verified: unique symbol

/**
 * A record whose payload, limits and signature were checked. Only `record/verify.ts` makes one, and the store takes no other.
 */
export interface VerifiedRecord extends SignedRecord {
  readonly [verified]: true
  readonly id: RecordId
  readonly body: RecordBody
}
