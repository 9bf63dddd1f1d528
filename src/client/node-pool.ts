import { ClientError } from './errors.ts'
import { MAX_NODES } from './limits.ts'
import { createNodeApi, type NodeApi } from './node-api.ts'
import type { TransportOptions } from './transport.ts'
import type { NodeStanding } from './types.ts'

/** A node that did not answer is left alone for this long, where there are others. */
const COOL_DOWN_MS = 20_000

export type NodePool = ReturnType<typeof createNodePool>

const RANKS: Readonly<Record<NodeStanding, number>> = { equal: 0, behind: 1, unknown: 2, contradictory: 3, failed: 4 }

/**
 * The nodes of a client, and what is known of how good they are.
 *
 * @throws ClientError `usage` if an address cannot be used, or there are too many
 */
export function createNodePool(urls: readonly string[], options: TransportOptions) {
  const unique = new Set(urls.map(nodeAddress))
  if (unique.size > MAX_NODES) throw new ClientError('usage', `Name at most ${MAX_NODES} nodes.`)
  const all: readonly NodeApi[] = [...unique].map((url) => createNodeApi(url, options))
  const ranks = new Map<NodeApi, number>(all.map((api) => [api, 0]))
  /** By a clock that nobody sets. */
  const downUntil = new Map<NodeApi, number>()
  let failures = 0

  const rankOf = (api: NodeApi): number => ranks.get(api) ?? 0
  /** The better ones first: by their last reported status, then in the caller's order. */
  const order = (): NodeApi[] => all.toSorted((a, b) => rankOf(a) - rankOf(b))

  function reportStatus(api: NodeApi, standing: NodeStanding): void {
    // Of those that failed, the one that did so last comes last.
    ranks.set(api, standing === 'failed' ? RANKS.failed + ++failures : RANKS[standing])
    if (standing === 'failed') downUntil.set(api, performance.now() + COOL_DOWN_MS)
    else downUntil.delete(api)
  }

  return {
    all,
    order,
    reportStatus,
    /** Whether the last reported status of another node is better. */
    hasBetterNode: (api: NodeApi): boolean => all.some((each) => rankOf(each) < rankOf(api)),
    /** Whether a node did not answer a moment ago, while others did. */
    isDown(api: NodeApi): boolean {
      const isLeftAlone = (each: NodeApi): boolean => (downUntil.get(each) ?? 0) > performance.now()
      return isLeftAlone(api) && !all.every(isLeftAlone)
    },
    /**
     * Calls `ask` with one node after the other until one gives an answer other than undefined.
     *
     * @returns undefined if all that answered say that they have nothing
     * @throws ClientError the first node's, if none answered; at once what is not a node's fault
     */
    async first<T>(ask: (api: NodeApi) => Promise<T | undefined>): Promise<T | undefined> {
      let failure: ClientError | undefined
      let answered = false
      for (const api of order()) {
        try {
          const answer = await ask(api)
          if (answer !== undefined) return answer
          answered = true
        } catch (error) {
          if (!(error instanceof ClientError) || !isNodesFault(error)) throw error
          failure ??= error
          // An honest node cannot send large contents in one answer either.
          if (error.code !== 'answer_too_large') reportStatus(api, 'failed')
        }
      }
      if (!answered && failure !== undefined) throw failure
      return undefined
    },
  }
}

/** Whether another node may do better. */
export function isNodesFault({ code, status = 0 }: ClientError): boolean {
  if (code === 'unreachable' || code === 'bad_answer' || code === 'answer_too_large') return true
  return code === 'refused' && status !== 400 && status !== 413
}

/** The address of a node without a slash at its end. @throws ClientError `usage` where it cannot be used */
export function nodeAddress(text: string): string {
  if (!URL.canParse(text)) throw unusable(text)
  const { protocol, username, search, hash, href } = new URL(text)
  if (!/^https?:$/.test(protocol) || username !== '' || search !== '' || hash !== '') throw unusable(text)
  return href.replace(/\/+$/, '')
}

function unusable(text: string): ClientError {
  return new ClientError(
    'usage',
    `"${text.slice(0, 200)}" is not the address of a node. Give http://HOST:PORT, or https://node.example.`,
  )
}
