import { LRUCache } from 'lru-cache'

import type { Clock } from '../../platform/environment.ts'
import type { Avatar } from '../../record/types.ts'
import { signReceipt } from '../../receipt/receipt.ts'
import type { Receipt, ReceiptFields, ReceiptSigner } from '../../receipt/receipt.ts'
import type { StoreReader } from '../../store/types.ts'
import { Rates } from '../../shares/rates.ts'
import type { RateLimits } from '../../shares/rates.ts'
import type { Source } from '../../shares/types.ts'
import { HttpError } from '../lib/errors.ts'

/** The node's own key and the peer id that it makes. */
export interface PeerSigner extends ReceiptSigner {
  readonly peerId: string
}

export interface ReceiptIssuer {
  /**
   * What the node holds of an avatar now, signed; undefined where it holds nothing.
   *
   * @param source the caller, whose share of the signatures it takes; an answer that is signed already takes none
   * @throws HttpError `too_many_requests`, `busy`
   */
  issue(avatar: Avatar, source: Source): Promise<Receipt | undefined>
}

/** Receipts kept, the last one of each avatar; each takes about 1 KB. */
const MAX_KEPT = 10_000

/** A read takes microseconds; one that crosses a second's end this often in a row is of a row that is being repaired. */
const MAX_READS = 5

/**
 * Signs receipts.
 *
 * Guarantees: a receipt is of one committed moment, which lay in the second that it names. So of two receipts with different
 * times the later one is of the later moment, as the rules of contradiction take for granted; a clock that is set back
 * does not change that while the node runs. The same state is signed once a second at most.
 */
export function createReceiptIssuer(
  {
    store,
    clock,
    signer,
  }: { readonly store: Pick<StoreReader, 'summary'>; readonly clock: Clock; readonly signer: PeerSigner },
  { network, rates: limits }: { readonly network: string; readonly rates: RateLimits },
): ReceiptIssuer {
  const last = new LRUCache<Avatar, { text: string; receipt: Promise<Receipt> }>({ max: MAX_KEPT })
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
    throw new HttpError(503, 'busy', 'The node is too slow to say when it read this; ask again.', {
      'retry-after': '1',
    })
  }

  return {
    async issue(avatar, source) {
      const fields = await read(avatar)
      if (fields === undefined) return undefined
      const text = JSON.stringify(fields)
      const known = last.get(avatar)
      if (known?.text === text) return await known.receipt
      const waitSeconds = rates.take(source)
      if (waitSeconds > 0) throw tooMany(waitSeconds)
      const receipt = signReceipt(fields, signer)
      last.set(avatar, { text, receipt })
      return await receipt
    },
  }
}

function tooMany(waitSeconds: number): HttpError {
  const message = `Your address, or all together, ask for too many receipts. Try again in ${waitSeconds} s.`
  return new HttpError(429, 'too_many_requests', message, { 'retry-after': String(waitSeconds) })
}
