import { createClient, memoryRecordCache, type Client } from '../../client/index.ts'
import { readStatus, type HostStatus } from './node-facts.ts'

/** What one visit of the page works with. */
export interface Session {
  readonly client: Client
  readonly network: string
  readonly status: HostStatus
  /** Hosts beside this one that answers are held against. */
  readonly others: readonly string[]
}

/** Hosts that the page's address names; the node lets the page ask just these. */
function comparedHosts(search: string = location.search): string[] {
  const named = new URLSearchParams(search).getAll('host').map((each) => each.toLowerCase().replace(/\/+$/, ''))
  return [...new Set(named.filter((each) => originOf(each) === each && each !== location.origin))].slice(0, 8)
}

/** The origin of an address that somebody typed, `https://…` or a bare name; undefined where it is none. */
export function originOf(text: string): string | undefined {
  const trimmed = text.trim()
  try {
    const url = new URL(/^[a-z]+:\/\//i.test(trimmed) ? trimmed : `https://${trimmed}`)
    return url.protocol === 'http:' || url.protocol === 'https:' ? url.origin : undefined
  } catch {
    return undefined
  }
}

/** Asks the host which network it is of; everything is verified within that. */
export async function openSession(signal: AbortSignal): Promise<Session> {
  const status = await readStatus(signal)
  const others = comparedHosts()
  const client = createClient({
    nodes: [location.origin, ...others],
    network: status.network,
    cache: memoryRecordCache(),
    signal,
  })
  return { client, network: status.network, status, others }
}
