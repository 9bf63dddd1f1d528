/** Compares the hosts of one avatar by their receipts and the records that they return. */
import { compareCitations } from '../record/order.ts'
import type { Avatar, Citation, RecordId } from '../record/types.ts'
import { foldRecords } from '../state/fold.ts'
import type { Fold } from '../state/fold.ts'
import type { RecordToAdd } from '../state/state-source.ts'
import type { Receipt } from './receipt.ts'

/** A host's receipt, and its verified records of the same state. */
export interface HostRecords {
  readonly receipt: Receipt
  readonly records: readonly RecordToAdd[]
}

/**
 * `signed_other_state`: the records give another state than the receipt says. `signed_other_count`: there are more or fewer
 * live records than the receipt says.
 */
export type HostFault = 'signed_other_state' | 'signed_other_count'

export interface HostComparison {
  /** Records that are live among all hosts together and that this one did not return, in order of (counter, id). */
  readonly lacks: readonly Citation[]
  readonly faults: readonly HostFault[]
  /** The state that its records give. */
  readonly fold: Fold
}

export interface Comparison {
  /** The state that the records of all hosts together give. */
  readonly together: Fold
  readonly hosts: readonly HostComparison[]
}

/**
 * Finds the records that each host lacks of all records together. Hosts that lack nothing show the same state.
 *
 * @param hosts with verified records of `avatar`; the result has the same order
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
