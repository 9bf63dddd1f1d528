/** A signed change that no host has taken yet, as it is stored. */
import type { DeliveryAnswer } from '../../client/delivery.ts'
import type { Citation, RecordText } from '../../client/index.ts'

export interface SignedChange extends RecordText, Citation {
  readonly avatar: string
  readonly network: string
}

/** What the host said about a change. */
export type Verdict = DeliveryAnswer

export interface OutboxEntry extends SignedChange {
  /** False if the browser has no room to store the change: then it is lost with this page. */
  readonly isOnDisk: boolean
  /** Why the host refuses the change. The change is not sent again by itself. */
  readonly verdict?: Verdict
}

/** What a change builds on. */
export function citationsOf({ payload }: Pick<SignedChange, 'payload'>): readonly Citation[] {
  return (JSON.parse(payload) as { prev: Citation[] }).prev
}
