/** Counts of records and bytes, of one avatar or of all. Bytes are those of payloads and signatures. */
import { addId, addLimbs, LIMBS, sumBytes } from '../negentropy/id-sum.ts'

export interface Counts {
  /** Live records. */
  readonly records: number
  readonly bytes: number
  /** All stored records: live records and history. */
  readonly keptRecords: number
  readonly keptBytes: number
}

export const NOTHING: Counts = { records: 0, bytes: 0, keptRecords: 0, keptBytes: 0 }

/** `a` + `times` × `b`. */
export function plus(a: Counts, b: Counts, times = 1): Counts {
  return {
    records: a.records + times * b.records,
    bytes: a.bytes + times * b.bytes,
    keptRecords: a.keptRecords + times * b.keptRecords,
    keptBytes: a.keptBytes + times * b.keptBytes,
  }
}

/** Sums over a set of live records: number, bytes, and ids modulo 2^256 (see `id-sum.ts`). */
export class LiveSum {
  records = 0
  bytes = 0
  readonly #ids = new Uint32Array(LIMBS)

  /** Sum of the ids, 32 bytes, little-endian. */
  get idSum(): Uint8Array {
    return sumBytes(this.#ids)
  }

  add(id: Uint8Array, bytes: number): this {
    this.records += 1
    this.bytes += bytes
    addId(this.#ids, id)
    return this
  }

  addAll({ records, bytes, idSum }: { records: number; bytes: number; idSum: Uint8Array }): this {
    this.records += records
    this.bytes += bytes
    addId(this.#ids, idSum)
    return this
  }

  subtract(other: LiveSum): this {
    this.records -= other.records
    this.bytes -= other.bytes
    addLimbs(this.#ids, other.#ids, -1)
    return this
  }
}
