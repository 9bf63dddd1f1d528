import { cut } from './format.ts'
import { visible } from './format-visible.ts'
import type { SubmitResult } from './node-facts.ts'

/** Why the host does not take a change, for people. What it says itself is shown as its word. */
export function whyNotTaken({ status, message }: SubmitResult): string {
  if (status === 'superseded') {
    // Whether it had seen the change is not known: the host may have had it once, and its answer been lost.
    return 'Somebody with this key put a snapshot in place of the history meanwhile. If the content lacks this change, make it again.'
  }
  if (status === 'pending') {
    return 'It builds on a change that the host has not taken, and counts nowhere before that one does. Without that one, make it again.'
  }
  const said = message === undefined ? 'It gave no reason.' : `It says: ${visible(cut(message))}`
  return status === 'invalid' ? `The host calls the change invalid. ${said}` : `The host refuses the change. ${said}`
}
