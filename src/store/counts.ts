/** Counts of records and bytes, of one avatar or of all. Bytes are those of payloads and signatures. */
import { addBytes, differenceBytes, LIMBS } from '../negentropy/id-sum.ts'

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
  #ids = new Uint32Array(LIMBS)

  /** Sum of the ids, 32 bytes, little-endian. */
  get idSum(): Uint8Array {
    return differenceBytes(this.#ids, new Uint32Array(LIMBS))
  }

  add(id: Uint8Array, bytes: number): this {
    this.records += 1
    this.bytes += bytes
    addBytes(this.#ids, viewOf(id), 0)
    return this
  }

  addAll({ records, bytes, idSum }: { records: number; bytes: number; idSum: Uint8Array }): this {
    this.records += records
    this.bytes += bytes
    addBytes(this.#ids, viewOf(idSum), 0)
    return this
  }

  subtract(other: LiveSum): this {
    this.records -= other.records
    this.bytes -= other.bytes
    const rest = new Uint32Array(LIMBS)
    addBytes(rest, viewOf(differenceBytes(this.#ids, other.#ids)), 0)
    this.#ids = rest
    return this
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
