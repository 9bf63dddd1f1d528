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

/**
 * Reads records by their ids and packs them into frames.
 *
 * @param ids ids to read; the reader removes them from the front, and the caller may append more
 */
export function createRecordReader(
  { source, keccak256 }: { readonly source: Pick<SyncSource, 'signed'>; readonly keccak256: Keccak256 },
  ids: Uint8Array[],
) {
  /** The ids that were not held or not live. */
  const missing: Uint8Array[] = []
  const ready: ReadRecord[] = []

  /** The records of the next frame; none at the end. */
  async function next(): Promise<ReadRecord[]> {
    const frame: ReadRecord[] = []
    let bytes = 0
    for (;;) {
      for (let first = ready[0]; first !== undefined; first = ready[0]) {
        const more = encodedBytes(first.record)
        if (frame.length > 0 && bytes + more > RECORDS_FRAME_BYTES) return frame
        frame.push(first)
        bytes += more
        ready.shift()
      }
      if (ids.length === 0) return frame
      ready.push(...(await read(ids.splice(0, IDS_PER_READ))))
    }
  }

  async function read(asked: readonly Uint8Array[]): Promise<ReadRecord[]> {
    const records = await source.signed(asked)
    if (records.length === asked.length) {
      return records.flatMap((record, at) => {
        const id = asked[at]
        return id === undefined ? [] : [{ id, record }]
      })
    }
    // Some were left out; which, only the digests tell.
    const left = new Map(asked.map((id) => [idKey(id), id]))
    const found = records.flatMap((record) => {
      const key = idKey(recordDigest(record.payload, keccak256))
      const id = left.get(key)
      left.delete(key)
      return id === undefined ? [] : [{ id, record }]
    })
    missing.push(...left.values())
    return found
  }

  return {
    missing: missing as readonly Uint8Array[],
    next,
    /** Whether records were read that are in no frame yet. */
    hasReady: () => ready.length > 0,
  }
}
