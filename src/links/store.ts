import { storeOfReplica } from './replica-store.ts'
import type { LinkClient, LinkedRead, LinkedStore, LinkReplica, LocalWrite } from './types.ts'
import type { PutResult } from '../client/types.ts'

/** Returns one interface over a client or a replica. */
export function storeOf(given: LinkClient | LinkReplica): LinkedStore<PutResult | LocalWrite> {
  if (!('getVerified' in given)) return storeOfReplica(given)
  return {
    network: given.network,
    async read(avatar, { linked = true, ...options } = {}): Promise<LinkedRead> {
      if (linked) return await given.getVerified(avatar, options)
      return { links: [], ...(await given.getVerified(avatar, { ...options, linked: false })) }
    },
    put: given.put,
    change: given.change,
    batch: given.batch,
  }
}
