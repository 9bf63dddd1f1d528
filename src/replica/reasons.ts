/** Why a write stays in the queue and is not sent, for people. */
const NEXT = 'It is stored, and counts once it is signed again: call retry(signer).'

export const SUPERSEDED = `A snapshot superseded the records that this write builds on. ${NEXT}`
export const DAMAGED = `The write that this write builds on is damaged on this disk. ${NEXT}`
export const REJECTED = `The write that this write builds on was rejected. ${NEXT}`
export const UNSEEN = `This was written before the avatar had been read, and older records would hide it. ${NEXT}`
export const GONE = `The write that this write builds on was signed again or discarded, while this write was being signed. ${NEXT}`
export const AHEAD = `The clock was far ahead when this write, or a write that it builds on, was signed. ${NEXT}`
export const DISPUTED = 'Snapshots keep superseding this write.'

const SIGNERLESS: ReadonlySet<string> = new Set([SUPERSEDED, DAMAGED, REJECTED, UNSEEN, GONE, AHEAD])
/** The end of the same reasons in the data of version 0.1. */
const NEXT_IN_0_1 = 'It is kept, and counts once it is signed anew: retry(signer).'

/** Whether a conflict waits only for a signer. @param reason as it was stored, perhaps by an earlier version */
export function isSignerless(reason: string | undefined): boolean {
  return reason !== undefined && (SIGNERLESS.has(reason) || reason.endsWith(NEXT_IN_0_1))
}
