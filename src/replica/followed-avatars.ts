/** The avatars that a replica follows: which there are, and how one is added and removed, here and in other tabs. */
import type { Avatar } from '../record/types.ts'
import { avatarOfText } from '../client/signers.ts'
import { AvatarReplica } from './avatar-replica.ts'
import type { AvatarComponents } from './avatar-row.ts'
import { ReplicaError } from './errors.ts'
import { MAX_FOLLOWED, MAX_FOLLOWED_BYTES } from './limits.ts'
import { checkMetadata, storedAvatars } from './metadata.ts'
import { rewriteAll } from './rewrite.ts'

export type FollowedAvatars = Awaited<ReturnType<typeof openFollowedAvatars>>

/** Opens all avatars that are on disk. @throws ReplicaError `newer`, `wrong_network`, `storage` */
export async function openFollowedAvatars(
  parts: AvatarComponents,
  added: (replica: AvatarReplica) => void,
  removed: (replica: AvatarReplica) => Promise<void>,
) {
  const { disk, tabs, network, emit } = parts
  const replicas = new Map<Avatar, AvatarReplica>()
  let storeId = await checkMetadata(disk, tabs, network)
  let losses = 0
  disk.onReopened(async (rows) => {
    const id = await checkMetadata(rows, tabs, network)
    if (id === storeId) return
    losses += 1
    const event = await rewriteAll([...replicas.values()], { disk: rows, tabs })
    storeId = id
    emit(event)
  })
  for (const avatar of await storedAvatars(disk)) replicas.set(avatar, await open(avatar))

  /** Reads an avatar again if the store is lost meanwhile: its first rows may have been read without the others. */
  async function open(avatar: Avatar): Promise<AvatarReplica> {
    for (;;) {
      const before = losses
      const replica = await AvatarReplica.open(parts, avatar)
      if (losses === before) return replica
    }
  }

  async function take(avatar: Avatar): Promise<void> {
    const isThere = (): boolean => replicas.get(avatar)?.gone === false
    if (isThere()) return
    const replica = await open(avatar)
    if (isThere()) return
    replicas.set(avatar, replica)
    added(replica)
  }

  const all = (): readonly AvatarReplica[] => [...replicas.values()]

  /** Reads are frequent and mostly have the canonical form, which was checked when the avatar was followed. */
  function find(text: string): AvatarReplica | undefined {
    return replicas.get(text as Avatar) ?? replicas.get(avatarOfText(text))
  }

  /** Removes an avatar whose rows are deleted. */
  async function drop(replica: AvatarReplica): Promise<void> {
    if (replicas.get(replica.avatar) === replica) replicas.delete(replica.avatar)
    await removed(replica)
    emit({ type: 'unfollowed', avatar: replica.avatar })
  }

  return {
    /** In no order. */
    all,
    /** @throws ClientError `usage` if the text is no avatar */
    find,
    /** By the canonical text, which may be no point of the curve: links are not checked for that. */
    held: (avatar: Avatar) => replicas.get(avatar),
    drop,
    /** @throws ReplicaError `not_followed`; ClientError `usage` */
    get(text: string): AvatarReplica {
      const replica = find(text)
      if (replica !== undefined) return replica
      throw new ReplicaError('not_followed', `${text.slice(0, 140)} is not followed here: call follow() first.`)
    },
    /** @throws ReplicaError `too_many`, `storage`; ClientError `usage` */
    async follow(text: string): Promise<void> {
      const avatar = avatarOfText(text)
      if (replicas.get(avatar)?.gone === false) return
      const bytes = all().reduce((sum, { confirmed }) => sum + confirmed.bytes, 0)
      if (replicas.size >= MAX_FOLLOWED || bytes > MAX_FOLLOWED_BYTES) {
        throw new ReplicaError(
          'too_many',
          `This replica is full: it holds ${MAX_FOLLOWED} avatars, or ${MAX_FOLLOWED_BYTES} bytes. Unfollow another avatar first, or run a node.`,
        )
      }
      await take(avatar)
      tabs.tell({ kind: 'avatars' })
      emit({ type: 'followed', avatar })
    },
    /** Reads what other tabs have followed, unfollowed and written. */
    async catchUp(): Promise<void> {
      for (const replica of all()) {
        await replica.catchUp()
        if (replica.gone) await drop(replica)
      }
      for (const avatar of await storedAvatars(disk)) {
        if (replicas.has(avatar)) continue
        await take(avatar)
        emit({ type: 'followed', avatar })
        tabs.tell({ kind: 'hello' })
      }
    },
  }
}
