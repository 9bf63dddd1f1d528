import { HttpError } from './errors.ts'

/** When whoever found no place may try again, in seconds. */
const FULL_RETRY_S = '30'

/** Places for work that takes long, so many in all and so many for one address. */
export interface Places {
  /**
   * Takes a place; the returned function gives it back.
   *
   * @throws HttpError `too_many_archives`
   */
  take(address: string): () => void
  count(): number
}

export function createPlaces(limits: { readonly all: number; readonly perAddress: number }): Places {
  const taken = new Map<string, number>()
  let count = 0
  return {
    take(address) {
      const own = taken.get(address) ?? 0
      if (count >= limits.all) {
        const message = 'The node moves as many archives as it can; try again later.'
        throw new HttpError(503, 'too_many_archives', message, { 'retry-after': FULL_RETRY_S })
      }
      if (own >= limits.perAddress) {
        const message = 'Your address moves as many archives as one may; wait for one of them.'
        throw new HttpError(429, 'too_many_archives', message, { 'retry-after': FULL_RETRY_S })
      }
      count += 1
      taken.set(address, own + 1)
      let isTaken = true
      return () => {
        if (!isTaken) return
        isTaken = false
        count -= 1
        const left = (taken.get(address) ?? 1) - 1
        if (left === 0) taken.delete(address)
        else taken.set(address, left)
      }
    },
    count: () => count,
  }
}
