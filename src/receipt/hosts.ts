/** Asks the hosts of an avatar what they hold, and holds what they sign against each other and against their records. */
import type { Avatar, Citation } from '../record/types.ts'
import type { RecordToAdd } from '../state/state-source.ts'
import { compareHosts, type HostFault, type HostRecords } from './compare.ts'
import { findContradictions, type Contradiction } from './contradictions.ts'
import { parseReceipt, verifyReceipt, type Receipt } from './receipt.ts'

/** Clocks of hosts are seldom off by a minute; a receipt that is older than this was not made for who asked. */
const RECEIPT_SKEW_SECONDS = 600
/** Writers can move an avatar while it is read; after this many tries it is moving faster than it can be read. */
const MAX_TRIES = 5

/** A host, as it is asked. What it fails to do is told in words; what is thrown ends the whole comparison. */
export interface Host {
  /** Its address, for people. */
  readonly url: string
  /** The receipt that it gives now, its shape, avatar and signature checked; undefined where it has nothing of the avatar. */
  receipt(): Promise<Receipt | string | undefined>
  /** All records of the avatar that it hands out, every one of them verified to be of `network`. */
  records(network: string): Promise<readonly RecordToAdd[] | string>
}

/** How one host stands to the others, by its receipt and its records. */
export interface HostReport {
  readonly node: string
  /**
   * `equal`: lacks nothing that another one has. `behind`: lacks something. `contradictory`: signed something false.
   * `failed`: gave no receipt that can be used.
   */
  readonly state: 'equal' | 'behind' | 'contradictory' | 'failed'
  readonly receipt: Receipt | null
  /** Records that other hosts have and this one does not hand out, in order. */
  readonly lacks: readonly Citation[]
  /** What is wrong, in words. */
  readonly problems: readonly string[]
}

/** What the hosts of an avatar sign that they hold, held against each other. */
export interface HostsReport {
  /**
   * `equal`, or: `behind`, some host has all that the others have; `split`, none has; `contradictory`, one signed
   * something false. Null where no host gave a receipt.
   */
  readonly verdict: 'equal' | 'behind' | 'split' | 'contradictory' | null
  /** The greatest head that a host signed. */
  readonly head: number
  readonly hosts: readonly HostReport[]
  /** What receipts of one peer, or of two, prove to be false. */
  readonly contradictions: readonly Contradiction[]
}

export interface HostsOptions {
  /** Whose receipts count; that of the first host that gives one, where it is not known. */
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

/**
 * Asks all hosts for their receipts, and where those name different states for the signed records: whoever lacks what
 * another one has is behind; whoever does not hand out what it signed for contradicts itself.
 */
export async function askHosts(avatar: Avatar, hosts: readonly Host[], options: HostsOptions): Promise<HostsReport> {
  const asked = await Promise.all(hosts.map((host) => ask(host)))
  const network = options.network ?? asked.find(({ receipt }) => receipt !== null)?.receipt?.network
  const judged = asked.map((each) => ({ ...each, problem: each.problem ?? faultOf(each.receipt) }))
  const usable = judged.filter((each): each is Usable & typeof each => each.receipt !== null && each.problem === null)
  /** All that is signed in the course of this. */
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
    if (receipt === undefined) return { host, receipt: null, problem: 'it has nothing of this avatar' }
    return typeof receipt === 'string' ? { host, receipt: null, problem: receipt } : { host, receipt, problem: null }
  }

  function faultOf(receipt: Receipt | null): string | null {
    if (receipt === null) return null
    if (receipt.network !== network) return `it is of the network "${receipt.network}", not of "${network}"`
    const offSeconds = receipt.time - options.now()
    if (Math.abs(offSeconds) <= RECEIPT_SKEW_SECONDS) return null
    const side = offSeconds < 0 ? 'before' : 'after'
    return `its receipt is of ${Math.abs(offSeconds)} s ${side} the time here: it is an old one, or a clock is wrong`
  }

  async function compareRecords(): Promise<Map<Host, HostReport>> {
    const reports = new Map<Host, HostReport>()
    const read: { host: Host; records: HostRecords }[] = []
    // One after the other, so that only one host at a time fills memory with what it sends.
    for (const each of usable) {
      const records = await readHost(each)
      if (typeof records === 'string') reports.set(each.host, failed(each, records))
      else read.push({ host: each.host, records })
    }
    const { hosts: standings } = compareHosts(
      avatar,
      read.map(({ records }) => records),
    )
    for (const [at, { lacks, faults }] of standings.entries()) {
      const one = read[at]
      if (one === undefined) continue
      const state = faults.length > 0 ? 'contradictory' : lacks.length > 0 ? 'behind' : 'equal'
      const problems = faults.map((fault) => FAULT_TEXTS[fault])
      reports.set(one.host, { node: one.host.url, state, receipt: one.records.receipt, lacks, problems })
    }
    return reports
  }

  /** The host's records and a receipt of the same moment; or in words what is in the way. */
  async function readHost({ host, receipt: first }: Usable): Promise<HostRecords | string> {
    let before = first
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const records = await host.records(before.network)
      if (typeof records === 'string') return records
      const after = await host.receipt()
      if (after === undefined) return 'it signed a receipt, and a moment later says that it has nothing of this avatar'
      const problem = typeof after === 'string' ? after : faultOf(after)
      if (typeof after === 'string' || problem !== null) return problem ?? ''
      signed.push(after)
      if (after.digest === before.digest && after.records === before.records) return { receipt: after, records }
      before = after
    }
    return 'the avatar changes faster there than it can be read; try again'
  }
}

/** The receipts to keep: the last of each host, and whatever proves a contradiction. */
export function receiptsOf({ hosts, contradictions }: HostsReport): Receipt[] {
  const last = hosts.flatMap(({ receipt }) => receipt ?? [])
  return [...new Set([...last, ...contradictions.flatMap(({ receipts }) => receipts)])]
}

/**
 * Reads what a host answered when it was asked for a receipt.
 *
 * @throws ReceiptError, or TypeError where it is of another avatar or not signed by its peer
 */
export function readReceipt(avatar: Avatar, value: unknown): Receipt {
  const receipt = parseReceipt(value)
  if (receipt.avatar !== avatar) throw new TypeError('its receipt is of another avatar')
  if (!verifyReceipt(receipt)) throw new TypeError('its receipt is not signed by the peer that it names')
  return receipt
}

const FAULT_TEXTS: Readonly<Record<HostFault, string>> = {
  signed_other_state:
    'it signed for another state than that of the records which it hands out: it, or something on the way, keeps records back',
  signed_other_count:
    'it signed for another number of records than it hands out: it, or something on the way, keeps records back',
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
