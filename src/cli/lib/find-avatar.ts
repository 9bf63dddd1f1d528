/** Finds hosts of an avatar for commands whose node has nothing of it, and checks them on this machine. */
import { checkNode, type NodeCheck } from '../../client/check-node.ts'
import { ClientError } from '../../client/errors.ts'
import { readHosts, urlsOf, type FoundHosts } from '../../client/find-hosts.ts'
import type { NodeApi } from '../../client/node-api.ts'
import { isPublicHome } from '../../find/addresses.ts'
import { messageOf } from '../../platform/errors.ts'
import { readReceipt } from '../../receipt/hosts.ts'
import type { Receipt } from '../../receipt/receipt.ts'
import type { SignatureEngine } from '../../record/engine.ts'
import type { Avatar } from '../../record/types.ts'
import { toCliError } from './client-error.ts'
import { guardedFetch } from './guarded-fetch.ts'
import { nodeAt } from './node.ts'

/** A call to a host that was found. */
const HOST_TIMEOUT_MS = 10_000
/** All calls to one such host: one that sends slowly must not delay the command. */
const HOST_TOTAL_MS = 60_000

export interface FindOptions {
  /** Whether addresses of private networks may be asked too. */
  readonly allowPrivate: boolean
}

/** What became of asking one address that a node named. */
export interface AskedHost {
  readonly url: string
  /** What it signed just now; null if it gave no genuine receipt. */
  readonly receipt: Receipt | null
  readonly problem: string | null
}

/** A node at an address that a stranger named. */
function foundNode(url: string, { allowPrivate }: FindOptions): NodeApi {
  const signal = AbortSignal.timeout(HOST_TOTAL_MS)
  return nodeAt(url, { timeoutMs: HOST_TIMEOUT_MS, signal, fetch: guardedFetch(allowPrivate) })
}

/** HTTP addresses that the node names and that may be asked: at most 6. */
export function askable(found: FoundHosts, own: string, { allowPrivate }: FindOptions): string[] {
  return urlsOf(found, (url) => url !== own && (allowPrivate || isPublicHome(url)))
}

/** Asks each address for a receipt, which proves that a host of the avatar answers there. */
export async function confirm(avatar: Avatar, urls: readonly string[], options: FindOptions): Promise<AskedHost[]> {
  return await Promise.all(
    urls.map(async (url): Promise<AskedHost> => {
      try {
        const receipt = await foundNode(url, options).receipt(avatar, (value) => readReceipt(avatar, value))
        const problem = receipt === undefined ? 'it has nothing of this avatar' : null
        return { url, receipt: receipt ?? null, problem }
      } catch (error) {
        return { url, receipt: null, problem: problemText(error) }
      }
    }),
  )
}

/**
 * Reads an avatar from hosts that a node names, and verifies every record.
 *
 * @returns the first host whose answer agrees with its signed records; `tried` has the others, with what was wrong
 */
export async function readElsewhere(
  api: NodeApi,
  engine: SignatureEngine,
  avatar: Avatar,
  options: FindOptions,
): Promise<{ readonly found?: { api: NodeApi; check: NodeCheck }; readonly tried: readonly string[] }> {
  const tried: string[] = []
  const hosts = await readHosts(api, avatar).catch((error: unknown): FoundHosts => {
    if (!(error instanceof ClientError)) throw error
    tried.push(`${api.url} does not say where it is: ${problemText(error)}`)
    return { hosts: [], homes: [] }
  })
  for (const url of askable(hosts, api.url, options)) {
    try {
      const host = foundNode(url, options)
      const check = await checkNode(host, engine, avatar)
      const [difference] = check?.differences ?? ['it has nothing of this avatar']
      if (check !== undefined && difference === undefined) return { found: { api: host, check }, tried }
      tried.push(`${url}: ${difference}`)
    } catch (error) {
      tried.push(`${url}: ${problemText(error)}`)
    }
  }
  return { tried }
}

function problemText(error: unknown): string {
  return error instanceof ClientError ? toCliError(error).message : messageOf(error)
}
