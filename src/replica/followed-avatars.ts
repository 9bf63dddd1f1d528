/** The avatars that a replica follows: which there are, and how one is added and removed, here and in other tabs. */
import { RecordError } from '../record/errors.ts'
import { parseAvatar } from '../record/keys.ts'
import type { Avatar } from '../record/types.ts'
import { ClientError } from '../client/errors.ts'
import { AvatarReplica } from './avatar-replica.ts'
import type { AvatarComponents } from './avatar-rows.ts'
import { ReplicaError } from './errors.ts'
import { MAX_FOLLOWED, MAX_FOLLOWED_BYTES } from './limits.ts'
import { checkMetadata, storedAvatars } from './metadata.ts'
import { rewriteAll } from './rewrite.ts'

export interface FollowedAvatars {
  /** In no order. */
  all(): readonly AvatarReplica[]
  /** @throws ClientError `usage` if the text is no avatar */
  find(text: string): AvatarReplica | undefined
  /** @throws ReplicaError `not_followed`; ClientError `usage` */
  get(text: string): AvatarReplica
  /** @throws ReplicaError `too_many`, `storage`; ClientError `usage` */
  follow(text: string): Promise<void>
  /** Removes an avatar whose rows are deleted. */
  drop(replica: AvatarReplica): Promise<void>
  /** Reads what other tabs have followed, unfollowed and written. */
  catchUp(): Promise<void>
}

export interface FollowedCalls {
  readonly added: (replica: AvatarReplica) => void
  readonly removed: (replica: AvatarReplica) => Promise<void>
}

/** Opens all avatars that are on disk. @throws ReplicaError `newer`, `wrong_network`, `storage` */
export async function openFollowedAvatars(
  parts: AvatarComponents,
  { added, removed }: FollowedCalls,
): Promise<FollowedAvatars> {
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

  /** Reads are frequent and mostly have the canonical form, which was checked when the avatar was followed. */
  const find = (text: string): AvatarReplica | undefined => replicas.get(text as Avatar) ?? replicas.get(avatarOf(text))

  const followed: FollowedAvatars = {
    all: () => [...replicas.values()],
    find,
    get(text) {
      const replica = find(text)
      if (replica !== undefined) return replica
      throw new ReplicaError('not_followed', `${text.slice(0, 140)} is not followed here: call follow() first.`)
    },
    async follow(text) {
      const avatar = avatarOf(text)
      if (replicas.get(avatar)?.gone === false) return
      const bytes = followed.all().reduce((sum, { confirmed }) => sum + confirmed.bytes, 0)
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
    async drop(replica) {
      if (replicas.get(replica.avatar) === replica) replicas.delete(replica.avatar)
      await removed(replica)
      emit({ type: 'unfollowed', avatar: replica.avatar })
    },
    async catchUp() {
      for (const replica of followed.all()) {
        await replica.catchUp()
        if (replica.gone) await followed.drop(replica)
      }
      for (const avatar of await storedAvatars(disk)) {
        if (replicas.has(avatar)) continue
        await take(avatar)
        emit({ type: 'followed', avatar })
        tabs.tell({ kind: 'hello' })
      }
    },
  }
  return followed
}

function avatarOf(text: string): Avatar {
  try {
    return parseAvatar(text)
  } catch (error) {
    if (!(error instanceof RecordError)) throw error
    throw new ClientError('usage', error.message, { nodeCode: error.code, cause: error })
  }
}
