import { throwIfAborted } from '../client/deadline.ts'
import { ClientError } from '../client/errors.ts'
import type { LinkedStore, LinkReplica, LocalWrite } from './types.ts'

/**
 * Reads and writes links in a replica: at once, and without a network, once the avatars have been read from a node. Follows the owner and the app.
 */
export function storeOfReplica(replica: LinkReplica): LinkedStore<LocalWrite> {
  const { network } = replica

  /** @throws ClientError `unreachable` if nothing can be known of the avatar */
  async function known(avatar: string, signal: AbortSignal | undefined): Promise<void> {
    await replica.follow(avatar)
    const { verifiedAt, head } = replica.info(avatar)
    if (verifiedAt !== null || head > 0 || replica.nodes.length === 0) return
    await replica.sync(signal === undefined ? {} : { signal }).catch((error: unknown) => {
      if (!(error instanceof ClientError) || error.code === 'aborted') throw error
      throw new ClientError(
        'unreachable',
        `This device has never read ${avatar} from a node, so what is there could get lost. Call connect while a node can be reached; ` +
          `afterwards it works offline. ${error.message}`,
        { cause: error },
      )
    })
  }

  return {
    network,
    async read(avatar, { linked = true, signal } = {}) {
      throwIfAborted([signal])
      await replica.follow(avatar)
      const state = replica.state(avatar, { linked })
      const links = state.links.map((link) => ({
        ...link,
        state: link.followed ? stateOf(link.avatar) : ('behind' as const),
      }))
      return { avatar: state.avatar, namespaces: state.namespaces, links }
    },
    known,
    async put({ signer, patch }) {
      await replica.follow(signer.avatar)
      return await replica.put({ signer, patch })
    },
    async change({ signer, change }) {
      await replica.follow(signer.avatar)
      return await replica.change({ signer, change })
    },
    async batch(requests) {
      const results: LocalWrite[] = []
      for (const { signer, patch } of requests) {
        await replica.follow(signer.avatar)
        results.push(await replica.put({ signer, patch }))
      }
      return results
    },
  }

  function stateOf(avatar: string): 'verified' | 'missing' | 'behind' {
    if (replica.state(avatar).missing.length > 0) return 'missing'
    return replica.info(avatar).verifiedAt === null ? 'behind' : 'verified'
  }
}
