import { compareHosts } from '../receipt/compare.ts'
import type { HostFault, HostRecords } from '../receipt/compare.ts'
import { findContradictions } from '../receipt/contradictions.ts'
import type { Contradiction } from '../receipt/contradictions.ts'
import type { Receipt } from '../receipt/receipt.ts'
import type { SignatureEngine } from '../record/engine.ts'
import type { Avatar, Citation } from '../record/types.ts'
import type { RecordToAdd } from '../state/avatar-state.ts'
import { messageOf } from './errors.ts'
import { checkRecord } from './local-check.ts'
import type { NodeClient } from './node-client.ts'
import { readRecords } from './records-reader.ts'
import { timeText } from './text.ts'

/** Clocks of hosts are seldom off by a minute; a receipt that is older than this was not made for who asked. */
const RECEIPT_SKEW_SECONDS = 600
/** Writers can move an avatar while it is read; after this many tries it is moving faster than it can be read. */
const MAX_TRIES = 5

/**
 * `equal`: lacks nothing that another one has. `behind`: lacks something. `contradictory`: signed something false. `failed`:
 * gave no receipt that can be used.
 */
export type HostState = 'equal' | 'behind' | 'contradictory' | 'failed'

export interface HostReport {
  readonly node: string
  readonly state: HostState
  readonly receipt: Receipt | null
  /** Records that other hosts have and this one does not hand out, in order. */
  readonly lacks: readonly Citation[]
  /** What is wrong, in words. */
  readonly problems: readonly string[]
}

export interface HostsReport {
  /**
   * `equal`, or: `behind`, some host has all that the others have; `split`, none has; `contradictory`, one signed
   * something false. Null where no host gave a receipt.
   */
  readonly verdict: 'equal' | 'behind' | 'split' | 'contradictory' | null
  /** The greatest head that a host signed. */
  readonly head: number
  readonly hosts: readonly HostReport[]
  readonly contradictions: readonly Contradiction[]
}

interface Asked {
  readonly client: NodeClient
  receipt?: Receipt
  problem?: string
}

/**
 * Asks hosts for their receipts, and where those name different states, for the signed records: whoever lacks what
 * another one has is behind; whoever does not hand out what it signed for contradicts itself.
 *
 * @param nowSeconds this machine's time, Unix seconds
 */
export async function compareNodes(
  clients: readonly NodeClient[],
  loadEngine: () => Promise<SignatureEngine>,
  avatar: Avatar,
  nowSeconds: () => number,
): Promise<HostsReport> {
  const asked = await Promise.all(clients.map((client) => askForReceipt(client, avatar, nowSeconds)))
  const network = asked.find(({ receipt }) => receipt !== undefined)?.receipt?.network
  for (const host of asked) {
    if (host.receipt === undefined || host.receipt.network === network) continue
    host.problem = `it is of the network "${host.receipt.network}", not of "${network}"`
  }
  const usable = asked.filter(isUsable)
  const signed: Receipt[] = usable.map(({ receipt }) => receipt)
  const differ = new Set(signed.map(({ digest }) => digest)).size > 1
  const reports = differ
    ? await compareRecords(usable, await loadEngine(), avatar, signed)
    : new Map(usable.map(({ client, receipt }): [NodeClient, HostReport] => [client, equal(client, receipt)]))
  const contradictions = findContradictions(signed)
  const hosts = asked.map((host) => reports.get(host.client) ?? failed(host))
  return {
    verdict: verdictOf(hosts, contradictions),
    head: Math.max(0, ...hosts.map(({ receipt }) => receipt?.head ?? 0)),
    hosts,
    contradictions,
  }
}

type Usable = Asked & { readonly receipt: Receipt }

function isUsable(host: Asked): host is Usable {
  return host.receipt !== undefined && host.problem === undefined
}

async function askForReceipt(client: NodeClient, avatar: Avatar, nowSeconds: () => number): Promise<Asked> {
  try {
    const receipt = await client.receipt(avatar)
    if (receipt === undefined) return { client, problem: 'it has nothing of this avatar' }
    const offSeconds = receipt.time - nowSeconds()
    if (Math.abs(offSeconds) <= RECEIPT_SKEW_SECONDS) return { client, receipt }
    const problem =
      `its receipt is of ${timeText(receipt.time)}, ${Math.abs(offSeconds)} s ${offSeconds < 0 ? 'before' : 'after'} ` +
      'the time here: it is an old one, or a clock is wrong'
    return { client, receipt, problem }
  } catch (error) {
    return { client, problem: messageOf(error) }
  }
}

async function compareRecords(
  usable: readonly Usable[],
  engine: SignatureEngine,
  avatar: Avatar,
  signed: Receipt[],
): Promise<Map<NodeClient, HostReport>> {
  const reports = new Map<NodeClient, HostReport>()
  const read: { client: NodeClient; records: HostRecords }[] = []
  // One after the other, so that only one host at a time fills memory with what it sends.
  for (const { client, receipt } of usable) {
    const result = await readHost(client, engine, avatar, receipt, signed)
    if (typeof result === 'string') reports.set(client, { ...failed({ client, problem: result }), receipt })
    else read.push({ client, records: result })
  }
  const { hosts } = compareHosts(
    avatar,
    read.map(({ records }) => records),
  )
  for (const [at, { lacks, faults }] of hosts.entries()) {
    const host = read[at]
    if (host === undefined) continue
    const { receipt } = host.records
    const state = faults.length > 0 ? 'contradictory' : lacks.length > 0 ? 'behind' : 'equal'
    const problems = faults.map((fault) => FAULT_TEXTS[fault])
    reports.set(host.client, { node: host.client.url, state, receipt, lacks, problems })
  }
  return reports
}

const FAULT_TEXTS: Readonly<Record<HostFault, string>> = {
  signed_other_state:
    'it signed for another state than that of the records which it hands out: it, or something on the way, keeps records back',
  signed_other_count:
    'it signed for another number of records than it hands out: it, or something on the way, keeps records back',
}

/** The host's records and a receipt of the same moment; or in words what is in the way. Adds receipts to `signed`. */
async function readHost(
  client: NodeClient,
  engine: SignatureEngine,
  avatar: Avatar,
  first: Receipt,
  signed: Receipt[],
): Promise<HostRecords | string> {
  let before = first
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    let records: RecordToAdd[] = []
    let invalid: string | undefined
    try {
      await readRecords(client, avatar, () => {
        records = []
        invalid = undefined
        return (record) => {
          try {
            const { id, body } = checkRecord(engine, before.network, avatar, record)
            records.push({ id, body })
          } catch (error) {
            invalid ??= `it hands out a record that is not valid, ${record.id}: ${messageOf(error)}`
          }
        }
      })
      if (invalid !== undefined) return invalid
      const after = await client.receipt(avatar)
      if (after === undefined) return 'it signed a receipt, and a moment later says that it has nothing of this avatar'
      signed.push(after)
      if (after.digest === before.digest && after.records === before.records) return { receipt: after, records }
      before = after
    } catch (error) {
      return messageOf(error)
    }
  }
  return 'the avatar changes faster there than it can be read; try again'
}

function equal({ url }: NodeClient, receipt: Receipt): HostReport {
  return { node: url, state: 'equal', receipt, lacks: [], problems: [] }
}

function failed({ client, receipt = undefined, problem = 'it gave no receipt' }: Asked): HostReport {
  return { node: client.url, state: 'failed', receipt: receipt ?? null, lacks: [], problems: [problem] }
}

function verdictOf(hosts: readonly HostReport[], contradictions: readonly Contradiction[]): HostsReport['verdict'] {
  const states = hosts.map(({ state }) => state).filter((state) => state !== 'failed')
  if (contradictions.length > 0 || states.includes('contradictory')) return 'contradictory'
  if (states.length === 0) return null
  if (states.every((state) => state === 'equal')) return 'equal'
  return states.includes('equal') ? 'behind' : 'split'
}
