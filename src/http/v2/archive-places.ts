import { Shares } from '../../shares/shares.ts'
import type { Hold, ShareLimits, Source } from '../../shares/types.ts'
import { HttpError } from '../lib/errors.ts'

/** When a client that found no place may try again, in seconds. */
const FULL_RETRY_S = '30'

/** Places for archives on their way. */
export interface Places {
  /**
   * Takes a place until it is released.
   *
   * @param evict breaks the archive off: its place is needed for a host that has none
   * @throws HttpError `too_many_archives`
   */
  take(source: Source, evict: () => void): Hold
  count(): number
}

export function createPlaces(limits: ShareLimits): Places {
  const shares = new Shares(limits)
  return {
    take(source, evict) {
      const hold = shares.take(source, 1, evict)
      if (hold === 'full') {
        const message = `The node moves as many archives as it can. Try again in ${FULL_RETRY_S} s, or ask another node.`
        throw new HttpError(503, 'too_many_archives', message, { 'retry-after': FULL_RETRY_S })
      }
      if (hold === 'key_full') {
        const message = 'Your address moves as many archives as one address may. Wait until one of them is done.'
        throw new HttpError(429, 'too_many_archives', message, { 'retry-after': FULL_RETRY_S })
      }
      return hold
    },
    count: () => shares.count,
  }
}

/** Chunks for a reader; while it does not ask for the next one, its place counts as idle. */
export async function* whileAsked(chunks: AsyncIterable<Uint8Array>, place: Hold): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    place.mark('idle')
    yield chunk
    place.mark('busy')
  }
}

/** Chunks of a sender; while the next one does not arrive, its place counts as idle. */
export async function* whileSent(chunks: AsyncIterable<Uint8Array>, place: Hold): AsyncGenerator<Uint8Array> {
  place.mark('idle')
  for await (const chunk of chunks) {
    place.mark('busy')
    yield chunk
    place.mark('idle')
  }
}
