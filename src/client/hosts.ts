import { compareHosts, type HostFault, type HostRecords } from '../receipt/compare.ts'
import { findContradictions, type Contradiction } from '../receipt/contradictions.ts'
import { parseReceipt, verifyReceipt, type Receipt } from '../receipt/receipt.ts'
import type { SignatureEngine } from '../record/engine.ts'
import type { Avatar, Citation, JsonValue, RecordId, VerifiedRecord } from '../record/types.ts'
import { throwIfAborted } from './deadline.ts'
import { messageOf } from './errors.ts'
import { RECEIPT_SKEW_SECONDS } from './limits.ts'
import { LocalAvatar } from './local-avatar.ts'
import type { NodeApi } from './node-api.ts'
import type { NodePool } from './node-pool.ts'
import { readNode } from './read-node.ts'

/** Writers can move an avatar while it is read; after this many tries it is moving faster than it can be read. */
const MAX_TRIES = 5

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

export interface HostsComponents {
  readonly pool: NodePool
  readonly engine: SignatureEngine
  readonly now: () => number
}

interface Asked {
  readonly api: NodeApi
  readonly receipt: Receipt | null
  readonly problem: string | null
}

/**
 * Asks all nodes for their receipts, and where those name different states for the signed records: whoever lacks what
 * another one has is behind; whoever does not hand out what it signed for contradicts itself.
 */
export async function askHosts(
  { pool, engine, now }: HostsComponents,
  avatar: Avatar,
  { network, signals, signal }: HostsOptions,
): Promise<HostsReport> {
  const asked = await Promise.all(pool.all.map((api) => askOne(api)))
  const usable = asked.filter(
    (host): host is Asked & { receipt: Receipt } => host.receipt !== null && host.problem === null,
  )
  const signed = usable.map(({ receipt }) => receipt)
  const differ = new Set(signed.map(({ digest }) => digest)).size > 1
  const reports = new Map<NodeApi, HostReport>()
  if (differ) await compareRecords()
  else
    for (const { api, receipt } of usable)
      reports.set(api, { ...failed(api, receipt, ''), state: 'equal', problems: [] })
  const contradictions = findContradictions(signed)
  const hosts = asked.map(({ api, receipt, problem }) => reports.get(api) ?? failed(api, receipt, problem ?? ''))
  return {
    verdict: verdictOf(hosts, contradictions),
    head: Math.max(0, ...hosts.map(({ receipt }) => receipt?.head ?? 0)),
    hosts,
    contradictions,
  }

  async function askOne(api: NodeApi): Promise<Asked> {
    try {
      const receipt = (await api.receipt(avatar, checkedReceipt, signal)) ?? null
      return { api, receipt, problem: receipt === null ? 'it has nothing of this avatar' : faultOf(receipt) }
    } catch (error) {
      throwIfAborted(signals)
      return { api, receipt: null, problem: messageOf(error) }
    }
  }

  function checkedReceipt(value: JsonValue): Receipt {
    const receipt = parseReceipt(value)
    if (receipt.avatar !== avatar) throw new TypeError('its receipt is of another avatar')
    if (!verifyReceipt(receipt)) throw new TypeError('its receipt is not signed by the peer that it names')
    return receipt
  }

  function faultOf(receipt: Receipt): string | null {
    if (receipt.network !== network) return `it is of the network "${receipt.network}", not of "${network}"`
    const offSeconds = receipt.time - Math.floor(now() / 1000)
    if (Math.abs(offSeconds) <= RECEIPT_SKEW_SECONDS) return null
    const side = offSeconds < 0 ? 'before' : 'after'
    return `its receipt is of ${Math.abs(offSeconds)} s ${side} the time here: it is an old one, or a clock is wrong`
  }

  async function compareRecords(): Promise<void> {
    /** One verification a record, however many hosts hand it out: ids name payloads. */
    const known = new Map<RecordId, VerifiedRecord>()
    const read: { api: NodeApi; records: HostRecords }[] = []
    for (const { api, receipt } of usable) {
      const records = await readHost(api, receipt, known)
      if (typeof records === 'string') reports.set(api, failed(api, receipt, records))
      else read.push({ api, records })
    }
    const { hosts } = compareHosts(
      avatar,
      read.map(({ records }) => records),
    )
    for (const [at, { lacks, faults }] of hosts.entries()) {
      const host = read[at]
      if (host === undefined) continue
      const state = faults.length > 0 ? 'contradictory' : lacks.length > 0 ? 'behind' : 'equal'
      const problems = faults.map((fault) => FAULT_TEXTS[fault])
      reports.set(host.api, { node: host.api.url, state, receipt: host.records.receipt, lacks, problems })
    }
  }

  /** The host's records and a receipt of the same moment; or in words what is in the way. */
  async function readHost(
    api: NodeApi,
    first: Receipt,
    known: Map<RecordId, VerifiedRecord>,
  ): Promise<HostRecords | string> {
    const local = new LocalAvatar(avatar, network)
    let before = first
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const { added, outcome, problems } = await readNode(api, local, {
        engine,
        signals,
        signal,
        known: (id) => known.get(id),
      })
      for (const record of added) known.set(record.id, record)
      if (outcome !== 'read' || problems.length > 0) return problems[0]?.message ?? 'it does not hand out its records'
      const after = await askOne(api)
      if (after.receipt === null || after.problem !== null) return after.problem ?? ''
      signed.push(after.receipt)
      if (after.receipt.digest === before.digest && after.receipt.records === before.records) {
        return { receipt: after.receipt, records: [...local.records] }
      }
      before = after.receipt
    }
    return 'the avatar changes faster there than it can be read; try again'
  }
}

export interface HostsOptions {
  readonly network: string
  readonly signals: readonly (AbortSignal | undefined)[]
  readonly signal: AbortSignal | undefined
}

const FAULT_TEXTS: Readonly<Record<HostFault, string>> = {
  signed_other_state:
    'it signed for another state than that of the records which it hands out: it, or something on the way, keeps records back',
  signed_other_count:
    'it signed for another number of records than it hands out: it, or something on the way, keeps records back',
}

function failed({ url }: NodeApi, receipt: Receipt | null, problem: string): HostReport {
  return { node: url, state: 'failed', receipt, lacks: [], problems: [problem] }
}

function verdictOf(hosts: readonly HostReport[], contradictions: readonly Contradiction[]): HostsReport['verdict'] {
  const states = hosts.map(({ state }) => state).filter((state) => state !== 'failed')
  if (contradictions.length > 0 || states.includes('contradictory')) return 'contradictory'
  if (states.length === 0) return null
  if (states.every((state) => state === 'equal')) return 'equal'
  return states.includes('equal') ? 'behind' : 'split'
}
