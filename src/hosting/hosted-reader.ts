import type { Avatar } from '../record/types.ts'
import type { ExportSnapshot, StoreReader } from '../store/types.ts'

/** Returns the avatar of a stored record, whose payload was verified before it was stored. */
export type AvatarOfPayload = (payload: Uint8Array) => Avatar | undefined

/**
 * A view of the store without avatars that this node does not host. The store can still hold records of such avatars: of
 * blocked ones, and of others that it collected in another mode.
 */
export function hostedReader(
  store: StoreReader,
  hosts: (avatar: Avatar) => boolean,
  avatarOf: AvatarOfPayload,
): StoreReader {
  async function events(options: Parameters<StoreReader['events']>[0]): ReturnType<StoreReader['events']> {
    if (options.avatar !== undefined && !hosts(options.avatar)) return []
    for (let { after } = options; ;) {
      const page = await store.events({ ...options, after })
      const last = page === 'reset' ? undefined : page.at(-1)
      if (page === 'reset' || last === undefined) return page
      const shown = page.filter(({ avatar }) => hosts(avatar))
      // The caller would take an empty page for the end.
      if (shown.length > 0) return shown
      after = last.sequence
    }
  }

  /** Returns a page of hosted avatars; it has `limit` entries unless it is the last one. */
  async function hosted(
    list: (page: { after?: Avatar; limit: number }) => Promise<Avatar[]>,
    { after, limit }: { after?: Avatar; limit: number },
  ): Promise<Avatar[]> {
    const found: Avatar[] = []
    for (let from = after; ;) {
      const page = await list({ limit, ...(from === undefined ? {} : { after: from }) })
      for (const avatar of page) if (hosts(avatar) && found.length < limit) found.push(avatar)
      from = page.at(-1)
      if (found.length >= limit || page.length < limit || from === undefined) return found
    }
  }

  return {
    get epoch() {
      return store.epoch
    },
    lastSequence: () => store.lastSequence(),
    hasReached: (sequence) => store.hasReached(sequence),
    totals: () => store.totals(),
    damage: () => store.damage(),
    summary: async (avatar) => (hosts(avatar) ? await store.summary(avatar) : undefined),
    openView: async (avatar) => (hosts(avatar) ? await store.openView(avatar) : undefined),
    openContent: async (avatar, ...name) => (hosts(avatar) ? await store.openContent(avatar, ...name) : undefined),
    openLinkedView: async (avatar, isShown) =>
      hosts(avatar) ? await store.openLinkedView(avatar, (linked) => hosts(linked) && isShown(linked)) : undefined,
    openLinkedContent: async (avatar, isShown) =>
      hosts(avatar) ? await store.openLinkedContent(avatar, (linked) => hosts(linked) && isShown(linked)) : undefined,
    links: async (avatar) => (hosts(avatar) ? await store.links(avatar) : []),
    async linkedFrom(avatar, options) {
      for (let { after } = options; ;) {
        const page = await store.linkedFrom(avatar, { ...options, ...(after === undefined ? {} : { after }) })
        const owners = page.owners.filter((each) => hosts(each.avatar))
        after = page.owners.at(-1)?.avatar
        // The caller would take an empty page for the end.
        if (owners.length > 0 || page.isLast) return { owners, isLast: page.isLast }
      }
    },
    member: async (avatar, ...name) => (hosts(avatar) ? await store.member(avatar, ...name) : undefined),
    async record(id) {
      const record = await store.record(id)
      const avatar = record && avatarOf(record.payload)
      return avatar !== undefined && hosts(avatar) ? record : undefined
    },
    records: async (avatar, options) => (hosts(avatar) ? await store.records(avatar, options) : undefined),
    history: async (avatar, options) => (hosts(avatar) ? await store.history(avatar, options) : []),
    exportSnapshot: async () => hostedSnapshot(await store.exportSnapshot(), hosts),
    avatars: (options) => hosted((page) => store.avatars(page), options),
    claims: (platform, identity, options) => hosted((page) => store.claims(platform, identity, page), options),
    events,
    onCommit: (listener) => store.onCommit(listener),
  }
}

function hostedSnapshot(readSnapshot: ExportSnapshot, hosts: (avatar: Avatar) => boolean): ExportSnapshot {
  return {
    async *avatars() {
      for await (const avatar of readSnapshot.avatars()) if (hosts(avatar)) yield avatar
    },
    async *records(avatar, options) {
      if (hosts(avatar)) yield* readSnapshot.records(avatar, options)
    },
    summary: async (avatar) => (hosts(avatar) ? await readSnapshot.summary(avatar) : undefined),
    close: () => readSnapshot.close(),
  }
}
