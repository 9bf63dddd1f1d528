import { LRUCache } from 'lru-cache'

import type { Clock } from '../platform/environment.ts'
import type { Avatar } from '../record/types.ts'
import { signReceipt, type Receipt, type ReceiptFields } from '../receipt/receipt.ts'
import type { StoreReader } from '../store/types.ts'
import { Rates, type RateLimits } from '../shares/rates.ts'
import { FindError } from './errors.ts'
import type { PeerSigner, ReceiptIssuer } from './types.ts'

/** Cached receipts, one for each avatar; about 1 KB each. */
const MAX_CACHED = 10_000

/** Attempts to read within one second. A read takes microseconds, so several failures in a row mean a row under repair. */
const MAX_READS = 5

/**
 * Signs receipts.
 *
 * Guarantees: a receipt describes one committed state, which was current in the second that the receipt names. So a receipt
 * with a later time describes a later state, as the contradiction rules assume; that holds while the node runs, even if its
 * clock is set back. The same state is signed at most once a second.
 */
export function createReceiptIssuer(
  {
    store,
    clock,
    signer,
  }: { readonly store: Pick<StoreReader, 'summary'>; readonly clock: Clock; readonly signer: PeerSigner },
  { network, rates: limits }: { readonly network: string; readonly rates: RateLimits },
): ReceiptIssuer {
  const last = new LRUCache<Avatar, { text: string; receipt: Promise<Receipt> }>({ max: MAX_CACHED })
  const rates = new Rates(limits, clock)
  let latest = 0

  function seconds(): number {
    latest = Math.max(latest, Math.floor(clock.now() / 1000))
    return latest
  }

  async function read(avatar: Avatar): Promise<ReceiptFields | undefined> {
    for (let reads = 0; reads < MAX_READS; reads++) {
      const time = seconds()
      const summary = await store.summary(avatar)
      if (summary === undefined) return undefined
      if (seconds() !== time) continue
      const { head, tips, records, digest } = summary
      return { avatar, network, head, id: tips.at(-1)?.id ?? null, records, digest, time, peer_id: signer.peerId }
    }
    throw new FindError('busy', 'The node is too busy to date the receipt to a second. Try again in 1 s.')
  }

  return {
    async issue(avatar, source) {
      const fields = await read(avatar)
      if (fields === undefined) return undefined
      const text = JSON.stringify(fields)
      const known = last.get(avatar)
      if (known?.text === text) return await known.receipt
      const waitS = rates.take(source)
      if (waitS > 0) {
        const message = `Your address, or all clients together, request too many receipts. Try again in ${waitS} s.`
        throw new FindError('too_many_requests', message, waitS)
      }
      const receipt = signReceipt(fields, signer)
      last.set(avatar, { text, receipt })
      return await receipt
    },
  }
}
