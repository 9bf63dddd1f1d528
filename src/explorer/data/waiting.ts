/** Signed records that no host has taken yet, as they are kept. */
import type { Citation, RecordText } from '../../client/index.ts'
import type { SubmitResult } from './node-facts.ts'

export interface Waiting extends RecordText, Citation {
  readonly avatar: string
  readonly network: string
}

export interface Kept extends Waiting {
  /** False where the browser has no room for it: it lasts as long as this page. */
  readonly isOnDisk: boolean
  /** What the host said that does not take it; it is not sent again by itself. */
  readonly verdict?: SubmitResult
}

/** In the order in which they build on each other. */
export function byCounter(a: Waiting, b: Waiting): number {
  return a.counter - b.counter
}

/** What a record was built on. */
export function citationsOf({ payload }: Pick<Waiting, 'payload'>): readonly Citation[] {
  return (JSON.parse(payload) as { prev: Citation[] }).prev
}
