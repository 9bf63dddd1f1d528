import type { RecordId } from '../../src/record/types.ts'
import { decodeFrame } from '../../src/sync/frame-decoder.ts'
import type { Ledger } from './ledger.ts'

/** Which records sync carries from whom to whom, as the wires see it. */
export class Transfers {
  readonly #ledger: Ledger
  #carried: Map<string, Map<RecordId, number>> | undefined
  readonly #before: Map<string, Map<RecordId, number>>[] = []

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  /** Counts anew from now on; before the first time it does not count. */
  restart(): void {
    if (this.#carried !== undefined) this.#before.push(this.#carried)
    this.#carried = new Map()
  }

  note(from: number, to: number, bytes: Uint8Array): void {
    if (this.#carried === undefined) return
    const frame = decodeFrame(bytes)
    if (frame.kind !== 'records') return
    const key = `${from} ${to}`
    const counts = this.#carried.get(key) ?? new Map<RecordId, number>()
    this.#carried.set(key, counts)
    for (const { payload } of frame.records) {
      const id = this.#ledger.byPayload(payload)?.id
      if (id !== undefined) counts.set(id, (counts.get(id) ?? 0) + 1)
    }
  }

  /** Times that a record went from one node to another since counting first began, and before it last began anew. */
  before(from: number, to: number, id: RecordId): number {
    return this.#before.reduce((sum, counts) => sum + (counts.get(`${from} ${to}`)?.get(id) ?? 0), 0)
  }

  /** Times that each record went from one node to another. */
  between(from: number, to: number): ReadonlyMap<RecordId, number> {
    return this.#carried?.get(`${from} ${to}`) ?? new Map()
  }
}
