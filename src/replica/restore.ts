/** Signs anew what a snapshot, or damage, has taken the ground from; where nobody can, it is kept, and told of. */
import type { SignatureEngine } from '../record/engine.ts'
import type { Avatar, PatchBody, VerifiedRecord } from '../record/types.ts'
import { messageOf } from '../client/errors.ts'
import { signPieces, type Piece } from '../client/sign-patch.ts'
import type { Signer } from '../client/signers.ts'
import { MAX_REBASES } from './limits.ts'
import { DAMAGED, DISPUTED, REJECTED, SIGNERLESS, SUPERSEDED, UNSEEN } from './reasons.ts'
import type { Entry, Shelf } from './shelf.ts'
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
  /** Signs writes anew. @throws ClientError of the signer @returns what took their place */
  signAnew(shelf: Shelf, entries: readonly Entry[], signer: Signer): Promise<readonly VerifiedRecord[]>
}

export interface RestorerComponents {
  readonly engine: SignatureEngine
  readonly network: string
  readonly now: () => number
  readonly signers: ReadonlyMap<Avatar, Signer>
  readonly emit: (event: ReplicaEvent) => void
}

export function createRestorer({ engine, network, now, signers, emit }: RestorerComponents): Restorer {
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

  async function signAnew(shelf: Shelf, entries: readonly Entry[], signer: Signer): Promise<readonly VerifiedRecord[]> {
    return await shelf.exclusive(async () => {
      const there = stillThere(shelf, entries)
      if (there.length === 0) return []
      const pieces = there.map(({ record }): Piece => {
        const { platform, identity, patch } = record.body as PatchBody
        return { platform, identity, patch }
      })
      const records = await signPieces({ engine, network, now }, signer, shelf.without(there).tips, pieces)
      await shelf.replace(
        there,
        records.map((record, at) => {
          const { writtenAt, rebases } = there[at]?.note ?? { writtenAt: now(), rebases: 0 }
          return { record, note: { state: 'waiting', writtenAt, rebases: rebases + 1 } }
        }),
      )
      for (const [at, { id: to }] of records.entries()) {
        const id = there[at]?.record.id
        if (id !== undefined) emit({ type: 'rebased', avatar: shelf.avatar, id, to })
      }
      return records
    })
  }

  const restorer: Restorer = {
    signAnew,
    async restore(shelf, entries, why = entries[0]?.orphan === true ? DAMAGED : SUPERSEDED) {
      const signer = signers.get(shelf.avatar)
      if (signer === undefined) return await mark(shelf, entries, 'conflict', why)
      if (entries.some(({ note }) => note.rebases >= MAX_REBASES)) {
        return await mark(shelf, entries, 'conflict', DISPUTED)
      }
      try {
        await signAnew(shelf, entries, signer)
      } catch (error) {
        await mark(shelf, entries, 'conflict', `It could not be signed anew: ${messageOf(error)}`)
      }
    },
    async adopt(shelf) {
      const orphaned = shelf.entries.filter(({ note }) => SIGNERLESS.has(note.reason))
      if (orphaned.length > 0 && signers.has(shelf.avatar)) await restorer.restore(shelf, orphaned)
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

/** Another tab may have done something about them meanwhile. */
function stillThere(shelf: Shelf, entries: readonly Entry[]): Entry[] {
  const known = new Map(shelf.entries.map((entry) => [entry.record.id, entry]))
  return entries.map(({ record }) => known.get(record.id)).filter((entry) => entry !== undefined)
}
