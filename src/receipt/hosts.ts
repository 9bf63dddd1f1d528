/** Requests receipts from the hosts of an avatar and compares them with each other and with the records of the hosts. */
import { compareCitations } from '../record/order.ts'
import type { Avatar, Citation } from '../record/types.ts'
import { foldRecords, type Fold } from '../state/fold.ts'
import type { RecordToAdd } from '../state/state-source.ts'
import { findContradictions, type Contradiction } from './contradictions.ts'
import { parseReceipt, verifyReceipt, type Receipt } from './receipt.ts'

/** Clocks of hosts are rarely off by a minute. A receipt that is older than this is not an answer to this request. */
const RECEIPT_SKEW_SECONDS = 600
/** Attempts to read a state and its records. Writers can change the avatar in between; then the read starts again. */
const MAX_TRIES = 5

/** A host to compare. It returns its failures as text; an error that it throws ends the whole comparison. */
export interface Host {
  /** Its address, for people. */
  readonly url: string
  /** Returns a current receipt with verified signature, or a failure; undefined if the host has no records of the avatar. */
  receipt(): Promise<Receipt | string | undefined>
  /** Returns all records of the avatar from the host, each verified for `network`, or a failure. */
  records(network: string): Promise<readonly RecordToAdd[] | string>
}

/** How one host compares with the others, by its receipt and its records. */
export interface HostReport {
  readonly node: string
  /**
   * `equal`: lacks no record that another host has. `behind`: lacks some. `contradictory`: signed something false. `failed`:
   * returned no usable receipt.
   */
  readonly state: 'equal' | 'behind' | 'contradictory' | 'failed'
  readonly receipt: Receipt | null
  /** Records that other hosts have and this one does not return, in order. */
  readonly lacks: readonly Citation[]
  /** Problems, for people. */
  readonly problems: readonly string[]
}

/** The result of a comparison of the hosts of an avatar. */
export interface HostsReport {
  /**
   * `equal`: all hosts have the same records. `behind`: at least one host has all records, others lack some. `split`: no host
   * has all records. `contradictory`: a host signed something false. Null if no host returned a usable receipt.
   */
  readonly verdict: 'equal' | 'behind' | 'split' | 'contradictory' | null
  /** The greatest head that a host signed. */
  readonly head: number
  readonly hosts: readonly HostReport[]
  /** Receipts that cannot all be true. */
  readonly contradictions: readonly Contradiction[]
}

export interface HostsOptions {
  /** The network whose receipts count. Default: the network of the first host that returns a receipt. */
  readonly network?: string
  /** Unix seconds. */
  readonly now: () => number
}

interface Asked {
  readonly host: Host
  readonly receipt: Receipt | null
  readonly problem: string | null
}

type Usable = Asked & { readonly receipt: Receipt }

/** A receipt of a host, and its verified records of the same state. */
interface HostRecords {
  readonly host: Host
  readonly receipt: Receipt
  readonly records: readonly RecordToAdd[]
}

/**
 * Requests receipts from all hosts, and if their states differ, the signed records too. A host that lacks records of another
 * host is behind; a host whose records do not match its receipt contradicts itself.
 */
export async function askHosts(avatar: Avatar, hosts: readonly Host[], options: HostsOptions): Promise<HostsReport> {
  const asked = await Promise.all(hosts.map((host) => ask(host)))
  const network = options.network ?? asked.find(({ receipt }) => receipt !== null)?.receipt?.network
  const judged = asked.map((each) => ({ ...each, problem: each.problem ?? faultOf(each.receipt) }))
  const usable = judged.filter((each): each is Usable & typeof each => each.receipt !== null && each.problem === null)
  /** All receipts that the hosts return during the comparison. */
  const signed = usable.map(({ receipt }) => receipt)
  const differ = new Set(signed.map(({ digest }) => digest)).size > 1
  const compared = differ ? await compareRecords() : new Map(usable.map((each) => [each.host, equal(each)]))
  const contradictions = findContradictions(signed)
  const reports = judged.map((each) => compared.get(each.host) ?? failed(each, each.problem ?? ''))
  return {
    verdict: verdictOf(reports, contradictions),
    head: Math.max(0, ...reports.map(({ receipt }) => receipt?.head ?? 0)),
    hosts: reports,
    contradictions,
  }

  async function ask(host: Host): Promise<Asked> {
    const receipt = await host.receipt()
    if (receipt === undefined) return { host, receipt: null, problem: 'it has no records of this avatar' }
    return typeof receipt === 'string' ? { host, receipt: null, problem: receipt } : { host, receipt, problem: null }
  }

  function faultOf(receipt: Receipt | null): string | null {
    if (receipt === null) return null
    if (receipt.network !== network) return `it belongs to the network "${receipt.network}", not to "${network}"`
    const offSeconds = receipt.time - options.now()
    if (Math.abs(offSeconds) <= RECEIPT_SKEW_SECONDS) return null
    const side = offSeconds < 0 ? 'before' : 'after'
    return `the time of its receipt is ${Math.abs(offSeconds)} s ${side} the time here; the receipt is old, or a clock is wrong`
  }

  async function compareRecords(): Promise<Map<Host, HostReport>> {
    const reports = new Map<Host, HostReport>()
    const read: HostRecords[] = []
    // One host at a time, to bound the memory that their records use.
    for (const each of usable) {
      const records = await readHost(each)
      if (typeof records === 'string') reports.set(each.host, failed(each, records))
      else read.push(records)
    }
    const live = liveRecords(
      avatar,
      read.flatMap(({ records }) => records),
    )
    for (const { host, receipt, records } of read) {
      const held = new Set(records.map(({ id }) => id))
      const lacks = live.filter(({ id }) => !held.has(id))
      const problem = contradictionOf(receipt, foldRecords(avatar, records))
      const state = problem !== undefined ? 'contradictory' : lacks.length > 0 ? 'behind' : 'equal'
      reports.set(host, { node: host.url, state, receipt, lacks, problems: problem === undefined ? [] : [problem] })
    }
    return reports
  }

  /** Returns the host's records and a receipt for the same state, or a problem in words. */
  async function readHost({ host, receipt: first }: Usable): Promise<HostRecords | string> {
    let before = first
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const records = await host.records(before.network)
      if (typeof records === 'string') return records
      const after = await host.receipt()
      if (after === undefined)
        return 'it signed a receipt, and shortly after says that it has no records of this avatar'
      const problem = typeof after === 'string' ? after : faultOf(after)
      if (typeof after === 'string' || problem !== null) return problem ?? ''
      signed.push(after)
      if (after.digest === before.digest && after.records === before.records) return { host, receipt: after, records }
      before = after
    }
    return 'the avatar changes faster than its records can be read from there; try again'
  }
}

/** Returns the receipts worth storing: the last one of each host, and those that prove a contradiction. */
export function receiptsOf({ hosts, contradictions }: HostsReport): Receipt[] {
  const last = hosts.flatMap(({ receipt }) => receipt ?? [])
  return [...new Set([...last, ...contradictions.flatMap(({ receipts }) => receipts)])]
}

/**
 * Parses and verifies a host's answer to a request for a receipt.
 *
 * @throws ReceiptError if it is malformed; TypeError if it is for another avatar or its signature is wrong
 */
export function readReceipt(avatar: Avatar, value: unknown): Receipt {
  const receipt = parseReceipt(value)
  if (receipt.avatar !== avatar) throw new TypeError('its receipt is for another avatar')
  if (!verifyReceipt(receipt)) throw new TypeError('its receipt is not signed by the peer that it names')
  return receipt
}

/** Returns the records that are live among all of these together, in order of (counter, id). */
function liveRecords(avatar: Avatar, records: readonly RecordToAdd[]): Citation[] {
  const all = new Map(records.map((record) => [record.id, record]))
  const base = foldRecords(avatar, all.values()).base?.counter ?? 0
  return [...all.values()]
    .map(({ id, body: { counter } }): Citation => ({ counter, id }))
    .filter(({ counter }) => counter >= base)
    .sort(compareCitations)
}

/** Explains how a receipt differs from the state of the records that its host returned; undefined if it does not. */
function contradictionOf({ digest, head, id, records }: Receipt, fold: Fold): string | undefined {
  const withheld = 'the host, or a proxy on the way, withholds records'
  if (digest !== fold.digest || head !== fold.head || id !== (fold.tips.at(-1)?.id ?? null)) {
    return `its records do not give the state that it signed: ${withheld}`
  }
  return records === fold.live ? undefined : `its records are not as many as it signed: ${withheld}`
}

function equal({ host, receipt }: Usable): HostReport {
  return { node: host.url, state: 'equal', receipt, lacks: [], problems: [] }
}

function failed({ host, receipt }: Asked, problem: string): HostReport {
  return { node: host.url, state: 'failed', receipt, lacks: [], problems: [problem] }
}

function verdictOf(hosts: readonly HostReport[], contradictions: readonly Contradiction[]): HostsReport['verdict'] {
  const states = hosts.map(({ state }) => state).filter((state) => state !== 'failed')
  if (contradictions.length > 0 || states.includes('contradictory')) return 'contradictory'
  if (states.length === 0) return null
  if (states.every((state) => state === 'equal')) return 'equal'
  return states.includes('equal') ? 'behind' : 'split'
}
