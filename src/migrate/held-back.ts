import { readVerifiedPayload } from '../record/payload.ts'
import type { SignedRecord } from '../record/types.ts'
import { MAX_HELD_BACK_BYTES } from './limits.ts'
import type { Staging } from './staging.ts'

/** Records offered again at a time. */
const OFFER_RECORDS = 256

/** Sound records that the staging store could not take yet, because too many others of the avatar wait already. */
export interface HeldBack {
  /** Whether there are none, counting those for which there was no room. */
  readonly isEmpty: boolean
  add(record: SignedRecord): void
  /** Offers all again, lowest counter first, as long as that helps; returns how many were taken. */
  offerAgain(): Promise<number>
}

export function createHeldBack(staging: Pick<Staging, 'ingest'>): HeldBack {
  let records: SignedRecord[] = []
  let bytes = 0
  /** There was no room for these. */
  let dropped = 0

  async function offerOnce(): Promise<number> {
    const offered = records.sort((a, b) => counterOf(a) - counterOf(b))
    records = []
    let taken = 0
    for (let at = 0; at < offered.length; at += OFFER_RECORDS) {
      const some = offered.slice(at, at + OFFER_RECORDS)
      const results = await staging.ingest.submit(some, { origin: 'import' })
      for (const [index, { status }] of results.entries()) {
        const record = some[index]
        if (record !== undefined && status === 'refused') records.push(record)
        if (status === 'stored' || status === 'pending') taken += 1
      }
    }
    return taken
  }

  return {
    get isEmpty() {
      return records.length + dropped === 0
    },
    add(record) {
      bytes += record.payload.length
      if (bytes > MAX_HELD_BACK_BYTES) dropped += 1
      else records.push(record)
    },
    async offerAgain() {
      let taken = 0
      for (let more = -1; records.length > 0 && more !== 0; taken += more) more = await offerOnce()
      return taken
    },
  }
}

/** Only of records that the door has found valid. */
function counterOf({ payload }: SignedRecord): number {
  return readVerifiedPayload(payload).counter
}
