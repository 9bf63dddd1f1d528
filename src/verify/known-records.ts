/**
 * Records that need no second verification: records that were verified a moment ago, and records in the store.
 *
 * Guaranteed: a record counts as known only with the payload bytes and the signature bytes that were verified. A payload is
 * compared by its id, which is a keccak-256 of all its bytes. The same payload with another signature is verified.
 * Not guaranteed: that a repeated record is recognised. If not, it is verified again, with the same result.
 */
import { yieldToEventLoop } from '../platform/yield.ts'
import { idText, recordDigest } from '../record/id.ts'
import type { Keccak256 } from '../record/id.ts'
import { readVerifiedPayload } from '../record/payload.ts'
import { RECOVERABLE_SIGNATURE_BYTES, SIGNATURE_BYTES } from '../record/signature.ts'
import type { RecordId, SignedRecord, VerifiedRecord } from '../record/types.ts'
import { mintVerified } from '../record/verify.ts'
import { RecentKeys } from './recent-keys.ts'

/** Signatures remembered: about 7 MB. */
const DEFAULT_CAPACITY = 32_768
/** While few records are repeated, one record in 16 is looked up in the store, because a look-up costs as much as a verification. */
const SAMPLED = 16
/** After `SELDOM_AFTER` look-ups in a row that found nothing, one record in 64. */
const SELDOM_SAMPLED = 64
const SELDOM_AFTER = 64
/** From this share of repeated records on, every record is looked up. */
const COMMON_SHARE = 1 / SAMPLED
/** Look-ups over which that share is averaged. */
const AVERAGED = 32
/** Payload bytes hashed in one go on the calling thread: about 1.5 ms. */
const HASHED_BYTES = 131_072

/** Returns the stored records among some ids (32 bytes each), in any order. */
export type ReadStored = (ids: readonly Uint8Array[]) => Promise<readonly SignedRecord[]>

export class KnownRecords {
  readonly #keccak256: Keccak256
  readonly #readStored: ReadStored | undefined
  /** Ids by the bytes of their signature. */
  readonly #ids: RecentKeys<RecordId>
  #storedShare = 0
  #turn = 0
  /** Look-ups since the last one that found a record. */
  #inVain = 0

  constructor(keccak256: Keccak256, readStored: ReadStored | undefined, capacity: number = DEFAULT_CAPACITY) {
    this.#keccak256 = keccak256
    this.#readStored = readStored
    this.#ids = new RecentKeys(capacity, RECOVERABLE_SIGNATURE_BYTES)
  }

  /**
   * Returns each known record, and undefined for unknown ones, in the order of `records`.
   *
   * @param recoveryByte as for `verifyRecord`: a signature of 65 bytes is known only where one may be given
   */
  async find(records: readonly SignedRecord[], recoveryByte: boolean): Promise<(VerifiedRecord | undefined)[]> {
    const found: (VerifiedRecord | undefined)[] = []
    const sought: { readonly at: number; readonly digest: Uint8Array }[] = []
    let bytes = 0
    for (const [at, record] of records.entries()) {
      const { length } = record.signature
      const isSized = length === SIGNATURE_BYTES || (recoveryByte && length === RECOVERABLE_SIGNATURE_BYTES)
      const id = isSized ? this.#ids.get(record.signature) : undefined
      const isSought = isSized && id === undefined && this.#mayBeStored()
      const digest = id === undefined && !isSought ? undefined : recordDigest(record.payload, this.#keccak256)
      const isKnown = digest !== undefined && idText(digest) === id
      found.push(isKnown ? this.#mint(record, id) : undefined)
      if (digest === undefined) continue
      if (isSought) sought.push({ at, digest })
      bytes += record.payload.length
      if (bytes < HASHED_BYTES) continue
      bytes = 0
      await yieldToEventLoop()
    }
    if (sought.length > 0) await this.#findStored(records, sought, found)
    return found
  }

  /** Remembers what was verified. */
  note({ signature }: SignedRecord, { id, signature: compact }: VerifiedRecord): void {
    this.#ids.set(signature, id)
    if (signature.length !== SIGNATURE_BYTES) this.#ids.set(compact, id)
  }

  #mayBeStored(): boolean {
    if (this.#readStored === undefined) return false
    this.#turn += 1
    const interval = this.#inVain < SELDOM_AFTER ? SAMPLED : SELDOM_SAMPLED
    if (this.#turn < interval && this.#storedShare <= COMMON_SHARE) return false
    this.#turn = 0
    return true
  }

  async #findStored(
    records: readonly SignedRecord[],
    sought: readonly { readonly at: number; readonly digest: Uint8Array }[],
    found: (VerifiedRecord | undefined)[],
  ): Promise<void> {
    // If the store cannot be read now, its records are simply verified.
    const stored = await this.#readStored?.(sought.map(({ digest }) => digest)).catch(() => [])
    const payloads = new Map((stored ?? []).map(({ payload, signature }) => [latin1(signature), payload]))
    for (const { at, digest } of sought) {
      const record = records[at] as SignedRecord
      const payload = payloads.get(latin1(record.signature))
      const isStored = payload !== undefined && Buffer.compare(payload, record.payload) === 0
      this.#storedShare += (Number(isStored) - this.#storedShare) / AVERAGED
      this.#inVain = isStored ? 0 : this.#inVain + 1
      if (!isStored) continue
      found[at] = this.#mint(record, idText(digest))
    }
  }

  #mint(record: SignedRecord, id: RecordId): VerifiedRecord {
    const { payload } = record
    const isCompact = record.signature.length === SIGNATURE_BYTES
    const signature = isCompact ? record.signature : record.signature.slice(0, SIGNATURE_BYTES)
    this.#ids.set(record.signature, id)
    return mintVerified({ payload, signature }, id, readVerifiedPayload(payload))
  }
}

/** Converts bytes to a key of a map, one character for each byte. */
function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}
