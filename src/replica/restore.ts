/** Signs own writes again if the records that they build on were superseded or damaged. Without a signer they become conflicts. */
import { messageOf } from '../platform/errors.ts'
import type { Avatar, Citation, PatchBody, VerifiedRecord } from '../record/types.ts'
import { ClientError } from '../client/errors.ts'
import type { Signer } from '../client/signers.ts'
import { ReplicaError } from './errors.ts'
import { MAX_ASKED, MAX_REBASES } from './limits.ts'
import { DAMAGED, DISPUTED, isSignerless, REJECTED, SUPERSEDED, UNSEEN } from './reasons.ts'
import type { AvatarReplica } from './avatar-replica.ts'
import type { QueuedWrite } from './rows.ts'
import { signingBaseOf, whyOutdated, type Sign } from './signing.ts'
import type { ReplicaEvent } from './types.ts'

export type Restorer = ReturnType<typeof createRestorer>

export interface RestorerComponents {
  readonly sign: Sign
  readonly now: () => number
  readonly signers: ReadonlyMap<Avatar, Signer>
  readonly emit: (event: ReplicaEvent) => void
}

export function createRestorer({ sign, now, signers, emit }: RestorerComponents) {
  async function mark(
    replica: AvatarReplica,
    entries: readonly QueuedWrite[],
    state: 'conflict' | 'rejected',
    reason: string,
  ) {
    await replica.exclusive(async () => {
      const there = stillThere(replica, entries)
      if (there.length === 0) return
      await replica.replace(
        [],
        there.map((entry) => ({ ...entry, note: { ...entry.note, state, reason } })),
      )
      for (const { record } of there) emit({ type: state, avatar: replica.avatar, id: record.id, message: reason })
    })
  }

  const signOn = (
    there: readonly QueuedWrite[],
    signer: Signer,
    tips: readonly Citation[],
  ): Promise<VerifiedRecord[]> =>
    sign(
      signer,
      tips,
      there.map(({ record }) => record.body as PatchBody),
    )

  /** Call it within `exclusive`. */
  async function swap(
    replica: AvatarReplica,
    there: readonly QueuedWrite[],
    records: readonly VerifiedRecord[],
    isSuperseded = false,
  ): Promise<void> {
    await replica.replace(
      there,
      records.map((record, at) => {
        const { writtenAt, rebases } = there[at]?.note ?? { writtenAt: now(), rebases: 0 }
        return { record, note: { state: 'waiting', writtenAt, rebases: rebases + (isSuperseded ? 1 : 0) } }
      }),
    )
    for (const [at, { id: to }] of records.entries()) {
      const id = there[at]?.record.id
      if (id !== undefined) emit({ type: 'rebased', avatar: replica.avatar, id, to })
    }
  }

  async function signAgain(
    replica: AvatarReplica,
    entries: readonly QueuedWrite[],
    signer: Signer,
    isSuperseded = false,
  ): Promise<readonly VerifiedRecord[]> {
    if (signer.silent !== true) return await askAgain(replica, entries, signer)
    return await replica.exclusive(async () => {
      const there = stillThere(replica, entries)
      if (there.length === 0) return []
      const records = await signOn(there, signer, replica.without(there).tips)
      await swap(replica, there, records, isSuperseded)
      return records
    })
  }

  /** Other work goes on while a person decides. The signature is used if it is still of use by then. */
  async function askAgain(
    replica: AvatarReplica,
    entries: readonly QueuedWrite[],
    signer: Signer,
  ): Promise<readonly VerifiedRecord[]> {
    for (let asked = 0; asked < MAX_ASKED; asked++) {
      await replica.catchUp()
      const there = stillThere(replica, entries)
      if (there.length === 0) return []
      const base = signingBaseOf(replica, replica.without(there))
      const records = await signOn(there, signer, base.tips)
      const isTaken = await replica.exclusive(async () => {
        if (stillThere(replica, there).length < there.length) return false
        if (whyOutdated(replica, base, records, replica.without(there)) !== undefined) return false
        await swap(replica, there, records)
        return true
      })
      if (isTaken) return records
    }
    throw new ClientError(
      'superseded',
      'The records that this builds on changed each time while it was being signed. Nothing was changed. Try again later.',
    )
  }

  /**
   * Signs writes again in their order, on all records that are known. Without a signer they become conflicts.
   *
   * @param why the reason for people. Default: the reason of the first write, on which the others build
   */
  async function restore(
    replica: AvatarReplica,
    entries: readonly QueuedWrite[],
    why = whyBroken(replica, entries),
  ): Promise<void> {
    const signer = signers.get(replica.avatar)
    if (signer === undefined) return await mark(replica, entries, 'conflict', why)
    const isSuperseded = why === SUPERSEDED
    if (isSuperseded && entries.some(({ note }) => note.rebases >= MAX_REBASES)) {
      return await mark(replica, entries, 'conflict', DISPUTED)
    }
    try {
      await signAgain(replica, entries, signer, isSuperseded)
    } catch (error) {
      // A failure of the disk, or the end of the replica, is no verdict on the write.
      if (error instanceof ReplicaError) throw error
      await mark(replica, entries, 'conflict', `Signing it again failed: ${messageOf(error)}`)
    }
  }

  return {
    restore,
    /**
     * Signs writes again.
     *
     * @throws ClientError of the signer, `superseded`; ReplicaError `closed`
     * @returns the records that replace them
     */
    signAgain,
    /** Signs writes again that are in conflict only because the tab that noticed had no signer, if this tab has one. */
    async adopt(replica: AvatarReplica): Promise<void> {
      const orphaned = replica.entries.filter(({ note }) => isSignerless(note.reason))
      if (orphaned.length > 0 && signers.has(replica.avatar)) {
        await restore(replica, orphaned, orphaned[0]?.note.reason)
      }
    },
    /**
     * Call this once an avatar was read. Writes that were signed before that are signed again on the records that were found:
     * unchanged, they would come before all of these, and older records would hide them.
     */
    async open(replica: AvatarReplica, entries: readonly QueuedWrite[]): Promise<void> {
      if (replica.confirmed.size > 0) return await restore(replica, entries, UNSEEN)
      await replica.exclusive(() =>
        replica.replace(
          [],
          stillThere(replica, entries).map((entry) => ({ ...entry, note: { ...entry.note, blind: false } })),
        ),
      )
    },
    /** Marks a write that no node accepts, and signs the writes that build on it again. */
    async reject(replica: AvatarReplica, entry: QueuedWrite, message: string): Promise<void> {
      const later = replica.waiting.filter(({ position }) => position > entry.position)
      await mark(replica, [entry], 'rejected', message)
      if (later.length > 0) await restore(replica, later, REJECTED)
    },
  }
}

function whyBroken(replica: AvatarReplica, [first]: readonly QueuedWrite[]): string {
  return first !== undefined && replica.isOrphan(first) ? DAMAGED : SUPERSEDED
}

/** The writes that are still queued: another tab may have replaced or discarded some. */
function stillThere(replica: AvatarReplica, entries: readonly QueuedWrite[]): QueuedWrite[] {
  const known = new Map(replica.entries.map((entry) => [entry.record.id, entry]))
  return entries.map(({ record }) => known.get(record.id)).filter((entry) => entry !== undefined)
}
