/** Own writes: signed on the records that are known here, on disk before they are acknowledged, and shown at once. */
import type { Avatar, JsonObject, VerifiedRecord } from '../record/types.ts'
import { copyObject, mergePatchOf } from '../client/json.ts'
import { refuseHidden } from '../client/linked-writes.ts'
import type { LocalAvatar } from '../client/local-avatar.ts'
import { writtenRecord } from '../client/sign-patch.ts'
import type { Signer } from '../client/signers.ts'
import { splitPatch } from '../client/split-patch.ts'
import type { ChangeRequest, PutRequest } from '../client/api.ts'
import type { Namespace } from '../client/types.ts'
import { createWriteQueue } from '../client/write-queue.ts'
import { namespaceOf } from '../client/writer.ts'
import { ReplicaError } from './errors.ts'
import { MAX_WAITING, MAX_WAITING_BYTES } from './limits.ts'
import type { Restorer } from './restore.ts'
import type { AvatarReplica } from './avatar-replica.ts'
import { signingBaseOf, whyOutdated, type Sign, type SigningBase } from './signing.ts'
import type { LocalWrite } from './types.ts'

export interface WritingComponents {
  readonly sign: Sign
  readonly network: string
  readonly now: () => number
  readonly restorer: Restorer
  /** All avatars of the replica: the limits of the queue are for all together. */
  readonly replicas: () => Iterable<AvatarReplica>
}

/**
 * Writes of one avatar are made one after the other, and each cites the one before it. A silent signer signs while no other tab
 * writes, so the writes of two tabs cite each other. A person may take time to sign: writes that other tabs make meanwhile are
 * merged, and a write that has no effect by then, or would be hidden, becomes a conflict.
 */
export function createWriting({ sign, network, now, restorer, replicas }: WritingComponents) {
  const inOrder = createWriteQueue()

  async function write(
    replica: AvatarReplica,
    signer: Signer,
    name: Namespace,
    plan: (local: LocalAvatar, target: Target) => Promise<readonly JsonObject[]>,
  ): Promise<LocalWrite> {
    const { platform, identity } = namespaceOf(replica.avatar, name)
    const target: Target = { avatar: replica.avatar, network, platform, identity }
    const signOn = async ({ tips }: SigningBase): Promise<VerifiedRecord[]> => {
      const patches = await plan(replica.shown, target)
      checkRoom(patches.length, 0)
      const pieces = patches.map((patch) => ({ platform, identity, patch }))
      refuseHidden(replica.avatar, replica.shown.content(namespaceOf(replica.avatar, {})) ?? {}, [{ pieces }])
      const records = await sign(signer, tips, pieces)
      checkRoom(records.length, bytesOf(records))
      return records
    }
    const keep = async (records: readonly VerifiedRecord[], conflict?: string): Promise<void> => {
      if (records.length > 0) await replica.commit(records, now(), conflict)
    }
    // Older writes come first: signed again after this write, they would hide it.
    await replica.catchUp()
    await restorer.adopt(replica)
    let records: readonly VerifiedRecord[] = []
    if (signer.silent === true) {
      await replica.exclusive(async () => {
        records = await signOn(signingBaseOf(replica, replica.shown))
        await keep(records)
      })
    } else {
      const base = signingBaseOf(replica, replica.shown)
      records = await signOn(base)
      await replica.exclusive(() => keep(records, whyOutdated(replica, base, records, replica.shown)))
      await restorer.adopt(replica)
    }
    return writeResult(target, records)
  }

  /** @throws ReplicaError `queue_full` */
  function checkRoom(records: number, bytes: number): void {
    let waiting = 0
    let waitingBytes = 0
    for (const replica of replicas()) {
      const { entries } = replica
      waiting += entries.length
      waitingBytes += bytesOf(entries.map(({ record }) => record))
    }
    if (waiting + records <= MAX_WAITING && waitingBytes + bytes <= MAX_WAITING_BYTES) return
    throw new ReplicaError(
      'queue_full',
      `The queue is full: ${waiting} signed writes wait to be sent. Nothing was written. Connect the replica to a node first.`,
    )
  }

  return {
    put(replica: AvatarReplica, { signer, patch, ...name }: PutRequest): Promise<LocalWrite> {
      // A copy, so that the patch that is signed later is the one that the caller gave.
      const copy = copyObject(patch, 'refused')
      return inOrder(replica.avatar, () => write(replica, signer, name, async (_, target) => splitPatch(target, copy)))
    },
    change(replica: AvatarReplica, { signer, change, ...name }: ChangeRequest): Promise<LocalWrite> {
      return inOrder(replica.avatar, () =>
        write(replica, signer, name, async (local, target) => {
          const before = local.content(target) ?? {}
          const patch = mergePatchOf(before, copyObject(await change(structuredClone(before)), 'dropped'))
          return patch === undefined ? [] : splitPatch(target, patch)
        }),
      )
    },
  }
}

interface Target {
  readonly avatar: Avatar
  readonly network: string
  readonly platform: string
  readonly identity: string
}

export function writeResult(
  { avatar, platform, identity }: Pick<Target, 'avatar' | 'platform' | 'identity'>,
  records: readonly VerifiedRecord[],
): LocalWrite {
  return {
    avatar,
    platform,
    identity,
    status: records.length === 0 ? 'unchanged' : 'waiting',
    local: true,
    records: records.map(writtenRecord),
  }
}

function bytesOf(records: readonly VerifiedRecord[]): number {
  return records.reduce((sum, { payload, signature }) => sum + payload.length + signature.length, 0)
}
