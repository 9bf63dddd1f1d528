import type { Avatar } from '../record/types.ts'
import type { HostingCounts, HostingEntry, HostingListName } from './types.ts'

/** One change as the journal stores it. Times are Unix seconds; `asked` is the `created_at` of the owner's statement. */
export type HostingChange =
  | {
      readonly op: 'add'
      readonly avatar: Avatar
      readonly at: number
      readonly asked?: number
      readonly invite?: string
    }
  | {
      readonly op: 'remove'
      readonly avatar: Avatar
      readonly at: number
      readonly asked?: number
      readonly homes: readonly string[]
      /** Whether the owner asked for it. */
      readonly own: boolean
    }
  | { readonly op: 'drop'; readonly avatar: Avatar }
  | { readonly op: 'block'; readonly avatar: Avatar; readonly at: number }
  | { readonly op: 'unblock'; readonly avatar: Avatar }
  | { readonly op: 'forget'; readonly avatar: Avatar }
  | { readonly op: 'forgot'; readonly avatar: Avatar }
  | { readonly op: 'invite'; readonly hash: string }
  | { readonly op: 'revoke' }
  | { readonly op: 'pull'; readonly avatar: Avatar; readonly from: string; readonly at: number }
  | { readonly op: 'pulled'; readonly avatar: Avatar }
  | { readonly op: 'unlinked'; readonly avatar: Avatar; readonly at: number }
  | { readonly op: 'relinked'; readonly avatar: Avatar }

interface Hosted {
  readonly at: number
  /** `created_at` of the owner's newest statement; 0 without one. */
  readonly asked: number
}

interface Gone extends Hosted {
  readonly homes: readonly string[]
  readonly own: boolean
}

/** The state of hosting: a pure function of the changes and their order. */
export class Register {
  readonly hosted = new Map<Avatar, Hosted>()
  readonly blocked = new Map<Avatar, { readonly at: number }>()
  /** Avatars that this node no longer hosts, oldest first. */
  readonly gone = new Map<Avatar, Gone>()
  /** Hashes of unused codes. */
  readonly invites = new Set<string>()
  /** Avatars whose records are yet to be deleted. */
  readonly forgetting = new Set<Avatar>()
  readonly pulls = new Map<Avatar, { readonly from: string; readonly at: number }>()
  /** Avatars that are hosted because listed ones linked to them until then. */
  readonly unlinked = new Map<Avatar, number>()

  apply(change: HostingChange): void {
    switch (change.op) {
      case 'add': {
        const { avatar, at, asked = 0, invite } = change
        this.hosted.set(avatar, { at: this.hosted.get(avatar)?.at ?? at, asked: Math.max(asked, this.asked(avatar)) })
        this.gone.delete(avatar)
        if (invite !== undefined) this.invites.delete(invite)
        return
      }
      case 'remove': {
        const { avatar, at, asked = 0, homes, own } = change
        const newest = Math.max(asked, this.asked(avatar))
        this.hosted.delete(avatar)
        this.gone.delete(avatar)
        this.gone.set(avatar, { at, asked: newest, homes, own })
        this.pulls.delete(avatar)
        return
      }
      case 'drop':
        return void this.gone.delete(change.avatar)
      case 'block':
        return void this.blocked.set(change.avatar, { at: change.at })
      case 'unblock':
        return void this.blocked.delete(change.avatar)
      case 'forget':
        return void this.forgetting.add(change.avatar)
      case 'forgot':
        return void this.forgetting.delete(change.avatar)
      case 'invite':
        return void this.invites.add(change.hash)
      case 'revoke':
        return this.invites.clear()
      case 'pull':
        return void this.pulls.set(change.avatar, { from: change.from, at: change.at })
      case 'pulled':
        return void this.pulls.delete(change.avatar)
      case 'unlinked':
        return void this.unlinked.set(change.avatar, change.at)
      case 'relinked':
        return void this.unlinked.delete(change.avatar)
    }
  }

  /** `created_at` of the owner's newest statement that had an effect; 0 without one. */
  asked(avatar: Avatar): number {
    return this.hosted.get(avatar)?.asked ?? this.gone.get(avatar)?.asked ?? 0
  }

  counts(): HostingCounts {
    return { hosted: this.hosted.size, blocked: this.blocked.size, gone: this.gone.size, invites: this.invites.size }
  }

  /** Number of entries that `changes` yields. */
  get size(): number {
    const lists = this.hosted.size + this.blocked.size + this.gone.size + this.invites.size
    return lists + this.forgetting.size + this.pulls.size + this.unlinked.size
  }

  list(name: HostingListName, { after, limit }: { readonly after?: Avatar; readonly limit: number }): HostingEntry[] {
    const avatars = [...this[name].keys()].filter((avatar) => after === undefined || avatar > after)
    return avatars
      .sort()
      .slice(0, limit)
      .map((avatar) => {
        const homes = name === 'gone' ? this.gone.get(avatar)?.homes : undefined
        const at = this[name].get(avatar)?.at ?? 0
        return { avatar, at, ...(homes === undefined ? {} : { homes }) }
      })
  }

  /** Yields the changes that turn an empty register into this one. */
  *changes(): Generator<HostingChange> {
    for (const [avatar, { at, asked }] of this.hosted) yield { op: 'add', avatar, at, asked }
    for (const [avatar, { at, asked, homes, own }] of this.gone) yield { op: 'remove', avatar, at, asked, homes, own }
    for (const [avatar, { at }] of this.blocked) yield { op: 'block', avatar, at }
    for (const hash of this.invites) yield { op: 'invite', hash }
    for (const avatar of this.forgetting) yield { op: 'forget', avatar }
    for (const [avatar, { from, at }] of this.pulls) yield { op: 'pull', avatar, from, at }
    for (const [avatar, at] of this.unlinked) yield { op: 'unlinked', avatar, at }
  }
}
