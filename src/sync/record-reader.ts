import { encodedBytes } from '../record/codec.ts'
import { recordDigest, type Keccak256 } from '../record/id.ts'
import type { SignedRecord } from '../record/types.ts'
import { idKey } from './ids.ts'
import { RECORDS_FRAME_BYTES } from './limits.ts'
import type { SyncSource } from '../store/types.ts'

/** Records read from the store at once; this many of the largest size are 16 MiB. */
const IDS_PER_READ = 64

export interface ReadRecord {
  readonly id: Uint8Array
  readonly record: SignedRecord
}

/** Reads records by their ids and packs them into frames. */
export class RecordReader {
  /** How many of the ids were not held or not live. */
  missing: Uint8Array[] = []
  readonly #source: Pick<SyncSource, 'signed'>
  readonly #keccak256: Keccak256
  readonly #take: (count: number) => readonly Uint8Array[]
  readonly #ready: ReadRecord[] = []

  /** @param take returns the next ids to read, at most as many as asked for; none at the end */
  constructor(
    source: Pick<SyncSource, 'signed'>,
    keccak256: Keccak256,
    take: (count: number) => readonly Uint8Array[],
  ) {
    this.#source = source
    this.#keccak256 = keccak256
    this.#take = take
  }

  /** Whether records were read that are in no frame yet. */
  get hasReady(): boolean {
    return this.#ready.length > 0
  }

  /** The records of the next frame; none at the end. */
  async next(): Promise<ReadRecord[]> {
    const frame: ReadRecord[] = []
    let bytes = 0
    for (;;) {
      for (let next = this.#ready[0]; next !== undefined; next = this.#ready[0]) {
        const more = encodedBytes(next.record)
        if (frame.length > 0 && bytes + more > RECORDS_FRAME_BYTES) return frame
        frame.push(next)
        bytes += more
        this.#ready.shift()
      }
      const ids = this.#take(IDS_PER_READ)
      if (ids.length === 0) return frame
      this.#ready.push(...(await this.#read(ids)))
    }
  }

  async #read(ids: readonly Uint8Array[]): Promise<ReadRecord[]> {
    const records = await this.#source.signed(ids)
    if (records.length === ids.length) {
      return records.flatMap((record, at) => {
        const id = ids[at]
        return id === undefined ? [] : [{ id, record }]
      })
    }
    // Some were left out; which, only the digests tell.
    const left = new Map(ids.map((id) => [idKey(id), id]))
    const found = records.flatMap((record) => {
      const key = idKey(recordDigest(record.payload, this.#keccak256))
      const id = left.get(key)
      left.delete(key)
      return id === undefined ? [] : [{ id, record }]
    })
    this.missing.push(...left.values())
    return found
  }
}
