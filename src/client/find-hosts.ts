/** Where an avatar lives, by the account of nodes, and what of that is safe to ask (docs/protocol.md, "Where an avatar lives"). */
import { homesIn, hostOfHome, isLocalName } from '../homes/homes.ts'
import { readReceipt } from '../receipt/hosts.ts'
import type { Receipt } from '../receipt/receipt.ts'
import type { Avatar } from '../record/types.ts'
import { throwIfAborted } from './deadline.ts'
import { MAX_SMALL_ANSWER_BYTES } from './limits.ts'
import type { NodeApi } from './node-api.ts'
import type { NodePool } from './node-pool.ts'
import { fields, list, optional, text } from './shapes.ts'

/** Hosts that are asked because a node named them. */
const MAX_FOUND_ASKED = 6
/** Hosts that a client reports: each of its nodes names up to 16. */
const MAX_REPORTED = 64

/** A host of an avatar. Its receipt was verified; its addresses are claims. */
export interface FoundHost {
  /** What the peer signed, and when. Its time is by the clock of that peer. */
  readonly receipt: Receipt
  /** Addresses of its HTTP interface, as claimed. */
  readonly urls: readonly string[]
  /** Multiaddrs, as claimed. */
  readonly addresses: readonly string[]
  /** The peer id of the peer that passed the receipt on; null if the host gave it to the node itself. */
  readonly toldBy: string | null
}

/** Where an avatar lives, as far as nodes know. */
export interface FoundHosts {
  /** Those that answered for themselves first, then those that others told of. */
  readonly hosts: readonly FoundHost[]
  /** Addresses that the avatar is said to list as its homes. Claims. */
  readonly homes: readonly string[]
}

/**
 * Asks one node where an avatar lives, and verifies the receipts.
 *
 * @throws ClientError `refused` with the node's code `not_found` where the node is too old to know the question; `bad_answer`
 * where a receipt is not genuine
 */
export async function readHosts(api: NodeApi, avatar: Avatar, signal?: AbortSignal): Promise<FoundHosts> {
  const host = fields({
    receipt: (value) => readReceipt(avatar, value),
    urls: (value) => homesIn(value),
    addresses: (value) => homesIn(value),
    told_by: optional(text),
  })
  const parse = fields({ hosts: list(host), homes: (value) => homesIn(value) })
  const request = { path: `/v2/avatars/${avatar}/hosts`, maxBytes: MAX_SMALL_ANSWER_BYTES, signal }
  const { value } = await api.transport.ask(request, parse)
  const { hosts, homes } = value ?? { hosts: [], homes: [] }
  return { hosts: hosts.map(({ told_by: toldBy, ...rest }) => ({ ...rest, toldBy })).toSorted(byPlace), homes }
}

/** Asks all nodes of a pool; those that fail are left out. @throws ClientError `aborted` */
export async function findHosts(
  pool: Pick<NodePool, 'all'>,
  avatar: Avatar,
  signals: readonly (AbortSignal | undefined)[],
): Promise<FoundHosts> {
  const all = await Promise.all(
    pool.all.map(async (api) => {
      try {
        return await readHosts(api, avatar, signals.at(-1))
      } catch {
        throwIfAborted(signals)
        return { hosts: [], homes: [] }
      }
    }),
  )
  const newest = new Map<string, FoundHost>()
  for (const host of all.flatMap(({ hosts }) => hosts)) {
    const known = newest.get(host.receipt.peer_id)
    if (known === undefined || known.receipt.time < host.receipt.time) newest.set(host.receipt.peer_id, host)
  }
  const hosts = [...newest.values()].toSorted(byPlace).slice(0, MAX_REPORTED)
  return { hosts, homes: [...new Set(all.flatMap(({ homes }) => homes))] }
}

/**
 * HTTP addresses to ask, in the order in which to try them: those of hosts with a receipt and homes take turns, so that invented
 * ones of one kind leave room for the other.
 *
 * @param isAllowed whether a URL may be asked on a stranger's word
 */
export function urlsOf({ hosts, homes }: FoundHosts, isAllowed: (url: string) => boolean): string[] {
  const lists = [hosts.flatMap(({ urls }) => urls), homes].map((list) =>
    list.filter((url) => url.startsWith('http') && isAllowed(url)),
  )
  const turns = Array.from({ length: MAX_FOUND_ASKED }, (_, at) =>
    lists.flatMap((list) => list.slice(at, at + 1)),
  ).flat()
  return [...new Set(turns)].slice(0, MAX_FOUND_ASKED)
}

/**
 * Whether an address may be asked on a stranger's word where nobody can check what its name resolves to, as in a browser:
 * `https:` and a name of the public internet. A private server without a certificate for that name gets no request.
 */
export function isPublicName(url: string): boolean {
  const host = hostOfHome(url)
  return url.startsWith('https:') && !/^[\d.]+$|:/.test(host) && !isLocalName(host)
}

/** Hosts that answered for themselves first, then by what they signed: keys are free, so a peer can invent hosts. */
function byPlace(a: FoundHost, b: FoundHost): number {
  return Number(a.toldBy !== null) - Number(b.toldBy !== null) || b.receipt.head - a.receipt.head
}
