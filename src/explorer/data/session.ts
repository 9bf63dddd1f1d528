import { createClient, type Client } from '../../client/index.ts'
import { openIndexedDb } from '../../replica/indexed-db.ts'
import { createPageEngine } from '../verify/page-engine.ts'
import { startWorkers } from '../verify/start-workers.ts'
import { storedRecords } from '../verify/stored-records.ts'
import { rememberVerified } from '../verify/remember.ts'
import { here, hostOf, pathHere } from './here.ts'
import { readStatus, type HostStatus } from './node-facts.ts'

/** As many as the node's policy for the page lists. */
const MAX_COMPARED_HOSTS = 8

/** The client and the hosts of one visit of the page. */
export interface Session {
  readonly client: Client
  readonly network: string
  readonly status: HostStatus
  /** Other hosts, with which the answers of this host are compared. */
  readonly others: readonly string[]
}

/** The hosts that the page's address names. The policy of the page allows requests to these and to its own host only. */
function comparedHosts(): string[] {
  const named = new URLSearchParams(location.search).getAll('host').map(hostOf)
  const others = named.filter((each) => each !== undefined && each !== here()) as string[]
  return [...new Set(others)].slice(0, MAX_COMPARED_HOSTS)
}

/** Asks the host for its network. Records are verified for that network. */
export async function openSession(signal: AbortSignal): Promise<Session> {
  const status = await readStatus(signal)
  const others = comparedHosts()
  const client = createClient({
    // The page asks only the hosts in its address.
    find: false,
    nodes: [here(), ...others],
    network: status.network,
    cache: storedRecords(() => openIndexedDb(`avatar-kv.records.${pathHere()}`), status.network),
    engine: rememberVerified(createPageEngine(startWorkers), () => openIndexedDb(`avatar-kv.verified.${pathHere()}`)),
    signal,
  })
  return { client, network: status.network, status, others }
}
