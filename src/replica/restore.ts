/** Signs anew what a snapshot, or damage, has taken the ground from; where nobody can, it is kept, and told of. */
import { messageOf } from '../platform/errors.ts'
import type { Avatar, Citation, PatchBody, VerifiedRecord } from '../record/types.ts'
import { ClientError } from '../client/errors.ts'
import type { Piece } from '../client/sign-patch.ts'
import type { Signer } from '../client/signers.ts'
import { basisOf, whyOutdated } from './basis.ts'
import { ReplicaError } from './errors.ts'
import { MAX_ASKED, MAX_REBASES } from './limits.ts'
import { DAMAGED, DISPUTED, REJECTED, SIGNERLESS, SUPERSEDED, UNSEEN } from './reasons.ts'
import type { Entry, Shelf } from './shelf.ts'
import type { Sign } from './signing.ts'
import type { ReplicaEvent } from './types.ts'

export interface Restorer {
  /**
   * Signs writes anew in their order, on all that is known; without a signer they become conflicts.
   *
   * @param why what people are told then. Default: what the first of them says, on which the others build
   */
  restore(shelf: Shelf, entries: readonly Entry[], why?: string): Promise<void>
  /** Signs anew what became a conflict only because the tab that found it had no signer, and this one has. */
  adopt(shelf: Shelf): Promise<void>
  /**
   * Now that an avatar was read: what was written before anything was known of it is signed anew on what is there. As it is it
   * would come before all that there is, and what is older would hide it.
   */
  open(shelf: Shelf, entries: readonly Entry[]): Promise<void>
  /** Notes that no node calls a write valid; what was built on it is signed anew. */
  reject(shelf: Shelf, entry: Entry, message: string): Promise<void>
  /**
   * Signs writes anew.
   *
   * @throws ClientError of the signer, `superseded`; ReplicaError `closed`
   * @returns what took their place
   */
  signAnew(shelf: Shelf, entries: readonly Entry[], signer: Signer): Promise<readonly VerifiedRecord[]>
}

export interface RestorerComponents {
  readonly sign: Sign
  readonly now: () => number
  readonly signers: ReadonlyMap<Avatar, Signer>
  readonly emit: (event: ReplicaEvent) => void
}

export function createRestorer({ sign, now, signers, emit }: RestorerComponents): Restorer {
  async function mark(shelf: Shelf, entries: readonly Entry[], state: 'conflict' | 'rejected', reason: string) {
    await shelf.exclusive(async () => {
      const there = stillThere(shelf, entries)
      if (there.length === 0) return
      await shelf.replace(
        [],
        there.map(({ record, note, place }) => ({ record, place, note: { ...note, state, reason } })),
      )
      for (const { record } of there) emit({ type: state, avatar: shelf.avatar, id: record.id, message: reason })
    })
  }

  const signOn = (there: readonly Entry[], signer: Signer, tips: readonly Citation[]): Promise<VerifiedRecord[]> =>
    sign(
      signer,
      tips,
      there.map(({ record }): Piece => {
        const { platform, identity, patch } = record.body as PatchBody
        return { platform, identity, patch }
      }),
    )

  /** To be called within `exclusive`. */
  async function swap(
    shelf: Shelf,
    there: readonly Entry[],
    records: readonly VerifiedRecord[],
    isSuperseded = false,
  ): Promise<void> {
    await shelf.replace(
      there,
      records.map((record, at) => {
        const { writtenAt, rebases } = there[at]?.note ?? { writtenAt: now(), rebases: 0 }
        return { record, note: { state: 'waiting', writtenAt, rebases: rebases + (isSuperseded ? 1 : 0) } }
      }),
    )
    for (const [at, { id: to }] of records.entries()) {
      const id = there[at]?.record.id
      if (id !== undefined) emit({ type: 'rebased', avatar: shelf.avatar, id, to })
    }
  }

  async function signAnew(
    shelf: Shelf,
    entries: readonly Entry[],
    signer: Signer,
    isSuperseded = false,
  ): Promise<readonly VerifiedRecord[]> {
    if (signer.silent !== true) return await askAnew(shelf, entries, signer)
    return await shelf.exclusive(async () => {
      const there = stillThere(shelf, entries)
      if (there.length === 0) return []
      const records = await signOn(there, signer, shelf.without(there).tips)
      await swap(shelf, there, records, isSuperseded)
      return records
    })
  }

  /** Nothing waits for a person: what he signed is taken if it still holds by then. */
  async function askAnew(shelf: Shelf, entries: readonly Entry[], signer: Signer): Promise<readonly VerifiedRecord[]> {
    for (let asked = 0; asked < MAX_ASKED; asked++) {
      await shelf.catchUp()
      const there = stillThere(shelf, entries)
      if (there.length === 0) return []
      const basis = basisOf(shelf, shelf.without(there))
      const records = await signOn(there, signer, basis.tips)
      const isTaken = await shelf.exclusive(async () => {
        if (stillThere(shelf, there).length < there.length) return false
        if (whyOutdated(shelf, basis, records, shelf.without(there)) !== undefined) return false
        await swap(shelf, there, records)
        return true
      })
      if (isTaken) return records
    }
    throw new ClientError(
      'superseded',
      'What this builds on changed each time while it was being signed. It is kept as it was: try again later.',
    )
  }

  const restorer: Restorer = {
    signAnew,
    async restore(shelf, entries, why = whyBroken(shelf, entries)) {
      const signer = signers.get(shelf.avatar)
      if (signer === undefined) return await mark(shelf, entries, 'conflict', why)
      const isSuperseded = why === SUPERSEDED
      if (isSuperseded && entries.some(({ note }) => note.rebases >= MAX_REBASES)) {
        return await mark(shelf, entries, 'conflict', DISPUTED)
      }
      try {
        await signAnew(shelf, entries, signer, isSuperseded)
      } catch (error) {
        // The disk's failure, or the replica's end, says nothing of the write.
        if (error instanceof ReplicaError) throw error
        await mark(shelf, entries, 'conflict', `It could not be signed anew: ${messageOf(error)}`)
      }
    },
    async adopt(shelf) {
      const orphaned = shelf.entries.filter(({ note }) => SIGNERLESS.has(note.reason))
      if (orphaned.length > 0 && signers.has(shelf.avatar)) {
        await restorer.restore(shelf, orphaned, orphaned[0]?.note.reason)
      }
    },
    async open(shelf, entries) {
      if (shelf.confirmed.size > 0) return await restorer.restore(shelf, entries, UNSEEN)
      await shelf.exclusive(() =>
        shelf.replace(
          [],
          stillThere(shelf, entries).map(({ record, place, note }) => ({
            record,
            place,
            note: { ...note, blind: false },
          })),
        ),
      )
    },
    async reject(shelf, entry, message) {
      const later = shelf.waiting.filter(({ place }) => place > entry.place)
      await mark(shelf, [entry], 'rejected', message)
      if (later.length > 0) await restorer.restore(shelf, later, REJECTED)
    },
  }
  return restorer
}

function whyBroken(shelf: Shelf, [first]: readonly Entry[]): string {
  return first !== undefined && shelf.isOrphan(first) ? DAMAGED : SUPERSEDED
}

/** Another tab may have done something about them meanwhile. */
function stillThere(shelf: Shelf, entries: readonly Entry[]): Entry[] {
  const known = new Map(shelf.entries.map((entry) => [entry.record.id, entry]))
  return entries.map(({ record }) => known.get(record.id)).filter((entry) => entry !== undefined)
}
