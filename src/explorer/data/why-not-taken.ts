import { cut } from './format.ts'
import { visible } from './format-visible.ts'
import type { Verdict } from './outbox-entry.ts'

/** Why the host does not take a change, for people. The host's own message is quoted. */
export function whyNotTaken({ status, message, wasAlone }: Verdict): string {
  if (status === 'superseded') {
    // Perhaps the host had stored the change, and its answer was lost: only the content tells.
    return 'Meanwhile a snapshot, signed with this key, replaced the history. If the content lacks this change, make it again.'
  }
  if (status === 'pending') {
    return 'It builds on a change that the host has not taken, and has no effect before the host takes that one. Send that one again, or make this one again without it.'
  }
  const said = message === undefined ? 'It gave no reason.' : `It says: ${visible(cut(message))}`
  if (status === 'invalid') return `The host calls the change invalid. ${said}`
  // The page's own words, about a request that was refused as a whole.
  if (wasAlone === true && message !== undefined) return `The change was not taken. ${visible(cut(message))}`
  return `The host refuses the change. ${said}`
}
