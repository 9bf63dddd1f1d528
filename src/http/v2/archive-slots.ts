import { Shares } from '../../shares/shares.ts'
import type { Hold, ShareLimits, Source } from '../../shares/types.ts'
import { HttpError } from '../lib/errors.ts'

/** Seconds after which a refused client may retry. */
const FULL_RETRY_S = '30'

/** Limits the archives that are transferred at the same time. */
export interface ArchiveSlots {
  /**
   * Takes a slot until it is released.
   *
   * @param evict ends the transfer, because a host without a slot needs this one
   * @throws HttpError `too_many_archives`
   */
  take(source: Source, evict: () => void): Hold
  count(): number
}

export function createArchiveSlots(limits: ShareLimits): ArchiveSlots {
  const shares = new Shares(limits)
  return {
    take(source, evict) {
      const hold = shares.take(source, 1, evict)
      if (hold === 'full') {
        const message = `The node already transfers as many archives as it can. Try again in ${FULL_RETRY_S} s, or use another node.`
        throw new HttpError(503, 'too_many_archives', message, { 'retry-after': FULL_RETRY_S })
      }
      if (hold === 'key_full') {
        const message =
          'Your address already transfers as many archives as one address may. Wait until one of them ends.'
        throw new HttpError(429, 'too_many_archives', message, { 'retry-after': FULL_RETRY_S })
      }
      return hold
    },
    count: () => shares.count,
  }
}

/** Yields chunks for a reader; while the reader does not ask for the next one, its slot counts as idle. */
export async function* whileAsked(chunks: AsyncIterable<Uint8Array>, slot: Hold): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    slot.mark('idle')
    yield chunk
    slot.mark('busy')
  }
}

/** Yields chunks of a sender; while the next one does not arrive, its slot counts as idle. */
export async function* whileSent(chunks: AsyncIterable<Uint8Array>, slot: Hold): AsyncGenerator<Uint8Array> {
  slot.mark('idle')
  for await (const chunk of chunks) {
    slot.mark('busy')
    yield chunk
    slot.mark('idle')
  }
}
