import type { Avatar, RecordId, VerifiedRecord } from '../record/types.ts'
import type { NamespaceName } from '../state/content.ts'
import { walk } from './database.ts'
import * as feed from './feed.ts'
import type { StoreHandle, Step } from './handle.ts'
import type { StoreHealth } from './health.ts'
import { openExportSnapshot, readHistory } from './history.ts'
import * as keys from './keys.ts'
import type { Database } from './level.ts'
import type { Listeners } from './listeners.ts'
import { readMember } from './member.ts'
import * as reader from './reader.ts'
import { syncSource } from './sync-source.ts'
import type {
  CommitListener,
  CommitResult,
  ExportSnapshot,
  JsonSnapshot,
  Rebuilt,
  RebuildableStore,
  Store,
  StoreDamage,
  StoreTotals,
  SyncSource,
} from './types.ts'
import { withRowRepair, openContent, openView } from './view.ts'

/** A store on a database. `handle` reopens the database when needed. */
export class LevelStore implements RebuildableStore {
  readonly sync: SyncSource
  readonly #handle: StoreHandle
  readonly #listeners: Listeners
  /** Undefined for a database in memory. */
  readonly #health: StoreHealth | undefined

  constructor(handle: StoreHandle, listeners: Listeners, health: StoreHealth | undefined) {
    this.#handle = handle
    this.#listeners = listeners
    this.#health = health
    this.sync = syncSource(handle)
  }

  get epoch(): string {
    return this.#handle.epoch
  }

  lastSequence(): number {
    return this.#handle.writer.totals.lastSequence
  }

  totals(): StoreTotals {
    const { avatars, records, keptBytes } = this.#handle.writer.totals
    return { avatars, records, bytes: keptBytes }
  }

  damage(): StoreDamage | undefined {
    return this.#health?.damage
  }

  summary(avatar: Avatar): ReturnType<Store['summary']> {
    return this.#readOf(avatar, undefined, (db) => reader.readSummary(db, avatar))
  }

  openView(avatar: Avatar): ReturnType<Store['openView']> {
    return this.#opening(avatar, (db, step) => openView(db, avatar, step))
  }

  openContent(avatar: Avatar, platform: string, identity: string): ReturnType<Store['openContent']> {
    return this.#opening(avatar, (db, step) => openContent(db, avatar, { platform, identity }, step))
  }

  async #opening<T extends JsonSnapshot>(
    avatar: Avatar,
    open: (db: Database, step: Step) => Promise<T | undefined>,
  ): Promise<T | undefined> {
    const readSnapshot = await this.#handle.long((db, { compactor }, step) =>
      compactor.isForgetting(avatar) ? undefined : open(db, step),
    )
    return readSnapshot && withRowRepair(readSnapshot, (error) => this.#handle.repairRow(error))
  }

  member(avatar: Avatar, namespace: NamespaceName, key: string): ReturnType<Store['member']> {
    return this.#readOf(avatar, undefined, (db) => readMember(db, avatar, namespace, key))
  }

  record(id: RecordId): ReturnType<Store['record']> {
    return this.#handle.read((db) => reader.readRecord(db, id))
  }

  records(avatar: Avatar, options: Parameters<Store['records']>[1]): ReturnType<Store['records']> {
    return this.#readOf(avatar, undefined, (db) => reader.readRecords(db, avatar, options))
  }

  history(avatar: Avatar, options: Parameters<Store['history']>[1]): ReturnType<Store['history']> {
    return this.#readOf(avatar, [], (db) => readHistory(db, avatar, options))
  }

  /** Reads one avatar. Returns `unknown` while the avatar is being deleted, even if some of its rows still exist. */
  #readOf<T>(avatar: Avatar, unknown: T, read: (db: Database) => T | Promise<T>): Promise<T> {
    return this.#handle.read((db, { compactor }) => (compactor.isForgetting(avatar) ? unknown : read(db)))
  }

  exportSnapshot(): Promise<ExportSnapshot> {
    return this.#handle.long((db, _, step) => openExportSnapshot(db, step, (error) => this.#handle.repairRow(error)))
  }

  avatars({ after, limit }: { after?: Avatar; limit: number }): Promise<Avatar[]> {
    const all = keys.tableRange('a')
    const range = after === undefined ? all : { gte: new Uint8Array([...keys.hostedKey(after), 0]), lt: all.lt }
    return this.#handle.read(async (db) => {
      const avatars: Avatar[] = []
      for await (const [key] of walk(db, range, { limit })) avatars.push(keys.avatarInKey(key))
      return avatars
    })
  }

  claims(platform: string, identity: string, { after, limit }: { after?: Avatar; limit: number }): Promise<Avatar[]> {
    const range = keys.identityRange({ platform, identity }, after)
    return this.#handle.read(async (db, { compactor }) => {
      const avatars: Avatar[] = []
      for await (const [key] of walk(db, range, { keysOnly: true })) {
        const avatar = keys.avatarAtEnd(key)
        if (compactor.isForgetting(avatar)) continue
        if (avatars.push(avatar) >= limit) break
      }
      return avatars
    })
  }

  events({ after, avatar, limit }: { after: number; avatar?: Avatar; limit: number }): ReturnType<Store['events']> {
    return this.#handle.read(async (db, writer) => {
      const isBehind = (): boolean => avatar === undefined && after < writer.feedFloor
      if (after > writer.totals.lastSequence || isBehind()) return 'reset'
      const events =
        avatar === undefined
          ? await feed.readFeed(db, after, limit)
          : await feed.readAvatarFeed(db, avatar, after, limit)
      // The feed may have been trimmed while it was read.
      return isBehind() ? 'reset' : events
    })
  }

  onCommit(listener: CommitListener): () => void {
    return this.#listeners.add(listener)
  }

  commit(records: readonly VerifiedRecord[]): Promise<CommitResult[]> {
    return this.#handle.write((writer) => writer.commit(records))
  }

  rebuild(avatar?: Avatar): Promise<Rebuilt> {
    return this.#handle.write((writer) => writer.rebuild(avatar))
  }

  forget(avatar: Avatar): Promise<void> {
    return this.#handle.write((writer) => writer.forget(avatar))
  }

  tasksDone(): Promise<void> {
    return this.#handle.writer.compactor.idle()
  }

  async close(): Promise<void> {
    await this.#handle.close()
    await this.#health?.closed()
  }
}
