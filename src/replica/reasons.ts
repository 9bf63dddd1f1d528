/** Why a write is kept and not sent, for people. */
const KEPT = 'It is kept, and counts once it is signed anew: retry(signer).'

export const SUPERSEDED = `A snapshot took the place of what this write was built on. ${KEPT}`
export const DAMAGED = `What this write was built on is damaged on this disk. ${KEPT}`
export const REJECTED = `What this write was built on was rejected. ${KEPT}`
export const UNSEEN = `This was written before the avatar had been read, and what is older would hide it. ${KEPT}`
export const GONE = `What this write was built on was signed anew, or given up, while it was being signed. ${KEPT}`
export const AHEAD = `The clock was far ahead when this write, or what it was built on, was signed. ${KEPT}`
/** Of conflicts that only wait for a signer. */
export const SIGNERLESS: ReadonlySet<string | undefined> = new Set([SUPERSEDED, DAMAGED, REJECTED, UNSEEN, GONE, AHEAD])
export const DISPUTED = 'Snapshots keep superseding this write.'
