import type { RecordText } from '../client/types.ts'
import type { StoredRecord } from '../store/types.ts'
import { POST_BYTES, POST_RECORDS } from './limits.ts'

/** Collects the records of one request. */
export class Batch {
  #records: RecordText[] = []
  #bytes = 0
  #sequence = 0

  isFull({ payload }: StoredRecord): boolean {
    if (this.#records.length === 0) return false
    // Quotes and backslashes double in JSON.
    return this.#records.length >= POST_RECORDS || this.#bytes + payload.length * 2 > POST_BYTES
  }

  /** @param record undefined if it need not be sent */
  add(record: StoredRecord | undefined, sequence: number): void {
    this.#sequence = sequence
    if (record === undefined) return
    this.#bytes += record.payload.length * 2
    this.#records.push({
      payload: new TextDecoder().decode(record.payload),
      signature: `0x${Buffer.from(record.signature).toString('hex')}`,
    })
  }

  /** The records added since the last call, and the sequence up to which they reach. */
  take(): { records: readonly RecordText[]; sequence: number } {
    const records = this.#records
    this.#records = []
    this.#bytes = 0
    return { records, sequence: this.#sequence }
  }
}
