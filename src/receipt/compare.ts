/** Hosts of one avatar, held against each other by their receipts and the records that they hand out. */
import { compareCitations } from '../record/order.ts'
import type { Avatar, Citation, RecordId } from '../record/types.ts'
import { foldRecords } from '../state/fold.ts'
import type { Fold } from '../state/fold.ts'
import type { RecordToAdd } from '../state/state-source.ts'
import type { Receipt } from './receipt.ts'

/** What a host signed, and the verified records that it handed out while it stood by that. */
export interface HostRecords {
  readonly receipt: Receipt
  readonly records: readonly RecordToAdd[]
}

/**
 * `signed_other_state`: the records make another state than the receipt's. `signed_other_count`: there are more or fewer
 * live ones than it says.
 */
export type HostFault = 'signed_other_state' | 'signed_other_count'

export interface HostStanding {
  /** Records live among all hosts together that this one did not hand out, in order of (counter, id). */
  readonly lacks: readonly Citation[]
  readonly faults: readonly HostFault[]
  /** What its records make. */
  readonly fold: Fold
}

export interface Comparison {
  /** What the records of all hosts together make. */
  readonly together: Fold
  readonly hosts: readonly HostStanding[]
}

/**
 * Works out what each host lacks of what all of them hold together. Hosts that lack nothing show the same state.
 *
 * @param hosts their records verified and of `avatar`, in the same order in the answer
 */
export function compareHosts(avatar: Avatar, hosts: readonly HostRecords[]): Comparison {
  const all = new Map<RecordId, RecordToAdd>()
  for (const { records } of hosts) for (const record of records) all.set(record.id, record)
  const together = foldRecords(avatar, all.values())
  const live = [...all.values()]
    .map(({ id, body: { counter } }): Citation => ({ counter, id }))
    .filter(({ counter }) => counter >= (together.base?.counter ?? 0))
    .sort(compareCitations)
  return {
    together,
    hosts: hosts.map(({ receipt, records }) => {
      const held = new Set(records.map(({ id }) => id))
      const fold = foldRecords(avatar, records)
      const faults: HostFault[] = []
      if (!statesTheSame(receipt, fold)) faults.push('signed_other_state')
      else if (receipt.records !== fold.live) faults.push('signed_other_count')
      return { lacks: live.filter(({ id }) => !held.has(id)), faults, fold }
    }),
  }
}

function statesTheSame({ digest, head, id }: Receipt, fold: Fold): boolean {
  return digest === fold.digest && head === fold.head && id === (fold.tips.at(-1)?.id ?? null)
}
