import type { Avatar } from '../record/types.ts'
import { walk } from './database.ts'
import { readAvatarFeed, readFeed } from './feed.ts'
import type { StoreHandle, Step } from './handle.ts'
import type { StoreHealth } from './health.ts'
import { openExportSnapshot, readHistory } from './history.ts'
import * as keys from './keys.ts'
import type { Database } from './level.ts'
import type { Listeners } from './listeners.ts'
import { readRecord, readRecords, readSummary } from './reader.ts'
import { syncSource } from './sync-source.ts'
import { readLinks } from './link-rows.ts'
import { openLinkedView, readLinkedFrom } from './linked-view.ts'
import type { JsonSnapshot, LinkedSnapshot, RebuildableStore } from './types.ts'
import { openContent, openView, readMember, withRowRepair } from './view.ts'

/** Characters of keys after which a page of `linkedFrom` ends: one owner may link under 64 keys of 256 KiB each. */
const LINKED_FROM_CHARACTERS = 1_048_576

/**
 * The store on a database.
 *
 * @param handle reopens the database when needed
 * @param health undefined for a database in memory
 */
export function levelStore(
  handle: StoreHandle,
  listeners: Listeners,
  health: StoreHealth | undefined,
): RebuildableStore {
  /** Reads one avatar. Returns `unknown` while the avatar is being deleted, even if some of its rows still exist. */
  const readOf = <T>(avatar: Avatar, unknown: T, read: (db: Database) => T | Promise<T>): Promise<T> =>
    handle.read((db, { compactor }) => (compactor.isForgetting(avatar) ? unknown : read(db)))

  async function opening<T extends JsonSnapshot>(
    avatar: Avatar,
    open: (db: Database, step: Step) => Promise<T | undefined>,
  ): Promise<T | undefined> {
    const readSnapshot = await handle.long((db, { compactor }, step) =>
      compactor.isForgetting(avatar) ? undefined : open(db, step),
    )
    return readSnapshot && withRowRepair(readSnapshot, (error) => handle.repairRow(error))
  }

  const openingLinked = (
    avatar: Avatar,
    isShown: (linked: Avatar) => boolean,
    only: boolean,
  ): Promise<LinkedSnapshot | undefined> => {
    const { compactor } = handle.writer
    const isHeld = (linked: Avatar): boolean => isShown(linked) && !compactor.isForgetting(linked)
    return opening(avatar, (db, step) => openLinkedView(db, avatar, { isShown: isHeld, only }, step))
  }

  return {
    sync: syncSource(handle),
    get epoch() {
      return handle.writer.epoch
    },
    lastSequence: () => handle.writer.totals.lastSequence,
    hasReached: async (sequence) => sequence <= handle.writer.totals.lastSequence,
    totals() {
      const { avatars, records, keptBytes } = handle.writer.totals
      return { avatars, records, bytes: keptBytes }
    },
    damage: () => health?.mark.damage,
    summary: (avatar) => readOf(avatar, undefined, (db) => readSummary(db, avatar)),
    openView: (avatar) => opening(avatar, (db, step) => openView(db, avatar, step)),
    openContent: (avatar, platform, identity) =>
      opening(avatar, (db, step) => openContent(db, avatar, { platform, identity }, step)),
    openLinkedView: (avatar, isShown) => openingLinked(avatar, isShown, false),
    openLinkedContent: (avatar, isShown) => openingLinked(avatar, isShown, true),
    links: (avatar) => readOf(avatar, [], (db) => readLinks(db, avatar)),
    linkedFrom: (avatar, options) =>
      handle.read((db, { compactor }) => {
        const isShown = (owner: Avatar): boolean => !compactor.isForgetting(owner)
        return readLinkedFrom(db, avatar, { ...options, characters: LINKED_FROM_CHARACTERS, isShown })
      }),
    member: (avatar, namespace, key) => readOf(avatar, undefined, (db) => readMember(db, avatar, namespace, key)),
    record: (id) => handle.read((db) => readRecord(db, id)),
    records: (avatar, options) => readOf(avatar, undefined, (db) => readRecords(db, avatar, options)),
    history: (avatar, options) => readOf(avatar, [], (db) => readHistory(db, avatar, options)),
    exportSnapshot: () =>
      handle.long((db, _, step) => openExportSnapshot(db, step, (error) => handle.repairRow(error))),
    avatars({ after, limit }) {
      const all = keys.tableRange('a')
      const range = after === undefined ? all : { gte: keys.keyAfter(keys.hostedKey(after)), lt: all.lt }
      return handle.read(async (db) => {
        const avatars: Avatar[] = []
        for await (const [key] of walk(db, range, { limit })) avatars.push(keys.avatarInKey(key))
        return avatars
      })
    },
    claims(platform, identity, { after, limit }) {
      const range = keys.identityRange({ platform, identity }, after)
      return handle.read(async (db, { compactor }) => {
        const avatars: Avatar[] = []
        for await (const [key] of walk(db, range, { values: false })) {
          const avatar = keys.avatarAtEnd(key)
          if (!compactor.isForgetting(avatar) && avatars.push(avatar) >= limit) break
        }
        return avatars
      })
    },
    events: ({ after, avatar, limit }) =>
      handle.read(async (db, writer) => {
        const isBehind = (): boolean => avatar === undefined && after < writer.feedFloor
        if (after > writer.totals.lastSequence || isBehind()) return 'reset'
        const read = avatar === undefined ? readFeed(db, after, limit) : readAvatarFeed(db, avatar, after, limit)
        const events = await read
        // The feed may have been trimmed while it was read.
        return isBehind() ? 'reset' : events
      }),
    onCommit: (listener) => listeners.add(listener),
    commit: (records) => handle.write((writer) => writer.commit(records)),
    rebuild: (avatar) => handle.write((writer) => writer.rebuild(avatar)),
    forget: (avatar) => handle.write((writer) => writer.forget(avatar)),
    tasksDone: () => handle.writer.compactor.idle(),
    async close() {
      await handle.close()
      await health?.closed()
    },
  }
}
