/** The rows of one avatar in LevelDB, as its entry reads them. */
import type { Avatar, Citation, RecordBody, RecordId } from '../record/types.ts'
import type { NamespaceName } from '../state/content.ts'
import type { Link } from '../state/links.ts'
import { avatarDigest } from '../state/digest.ts'
import type { HeldRecord } from '../state/state-source.ts'
import type { PendingRecord } from '../state/waiting.ts'
import { AvatarEntry, fastHash, SUMMARY_TIPS } from './avatar-entry.ts'
import type { AvatarRows, ContentRow, HistoryEntry, MemberPlace, Split, StoredMember } from './avatar-rows.ts'
import { bytesText } from './bytes.ts'
import { decodeMember } from './cell-codec.ts'
import { openRow, readRow, walk } from './database.ts'
import { CorruptRowError } from './errors.ts'
import * as keys from './keys.ts'
import type { Database } from './level.ts'
import { readLinks } from './link-rows.ts'
import { mustBeUnclaimed, readOwnLocation, readOwnLocations, readRecordRow, readSummary } from './reader.ts'
import * as rows from './rows.ts'
import { sealOf } from './seal.ts'
import { splitAt } from './superseded.ts'

export class LevelRows implements AvatarRows {
  readonly #db: Database
  readonly #avatar: Avatar

  constructor(db: Database, avatar: Avatar) {
    this.#db = db
    this.#avatar = avatar
  }

  held(id: RecordId): HeldRecord | undefined {
    return readOwnLocation(this.#db, this.#avatar, id)
  }

  body(place: Citation): RecordBody {
    const key = keys.historyKey(this.#avatar, place)
    const history = readRow(this.#db, this.#avatar, 'history', key, rows.decodeHistory)
    if (history === undefined) throw new CorruptRowError(this.#avatar, 'history', `${place.id} is missing`)
    const { sequence } = history
    const { payload } = readRecordRow(this.#db, { avatar: this.#avatar, sequence, id: place.id })
    return JSON.parse(bytesText(payload)) as RecordBody
  }

  namespace(name: NamespaceName): rows.NamespaceRow | undefined {
    const key = keys.namespaceKey(this.#avatar, name)
    const row = readRow(this.#db, this.#avatar, 'namespace', key, rows.decodeNamespace)
    if (row === undefined) mustBeUnclaimed(this.#db, this.#avatar, name)
    return row
  }

  member(name: NamespaceName, key: string, place: MemberPlace): StoredMember | undefined {
    const at = keys.memberKey(this.#avatar, name, key, place === 'deleted')
    const row = this.#db.getSync(at)
    return row === undefined ? undefined : this.#openMember(at, row, place)
  }

  links(): Link[] {
    return readLinks(this.#db, this.#avatar)
  }

  async *content(): AsyncGenerator<ContentRow> {
    for (const place of ['live', 'deleted'] as const) {
      const letter = place === 'live' ? 'v' : 't'
      for await (const [key, row] of walk(this.#db, keys.tableRange(letter, this.#avatar))) {
        const kind = keys.kindOfViewKey(key)
        if (kind === 'summary') continue
        const name = keys.namespaceInKey(key)
        yield kind === 'member' ? { name, member: this.#openMember(key, row, place) } : { name }
      }
    }
  }

  async bytesOf(place: Citation): Promise<number | undefined> {
    const key = keys.historyKey(this.#avatar, place)
    return readRow(this.#db, this.#avatar, 'history', key, rows.decodeHistory)?.bytes
  }

  async *history(from: number, below: number, after?: Citation): AsyncGenerator<HistoryEntry> {
    const { gte, lt } = keys.historyRange(this.#avatar, from, below)
    const start = after === undefined ? gte : keys.keyAfter(keys.historyKey(this.#avatar, after))
    for await (const [key, row] of walk(this.#db, { gte: start, lt })) {
      const { bytes, type } = openRow(this.#avatar, 'history', key, row, rows.decodeHistory)
      yield { ...keys.placeInKey(key), bytes, type }
    }
  }

  split(from: number, base: number, atOnce: number): Promise<Split> {
    return splitAt(this.#db, this.#avatar, from, base, atOnce)
  }

  #openMember(at: keys.Key, row: Uint8Array, place: MemberPlace) {
    const { key, cell } = openRow(this.#avatar, 'member', at, row, decodeMember)
    return { key, cell, place, check: sealOf(row) }
  }
}

/** An entry for an avatar without stored data. */
export function newEntry(db: Database, avatar: Avatar): AvatarEntry {
  return new AvatarEntry(new LevelRows(db, avatar), avatar)
}

/** Reads an avatar's summary, tips and pending records. The content is read on demand. */
export async function loadEntry(db: Database, avatar: Avatar): Promise<AvatarEntry> {
  const summary = readSummary(db, avatar)
  if (summary === undefined) return newEntry(db, avatar)
  const tips: Citation[] = []
  if (summary.tipsTotal <= SUMMARY_TIPS) tips.push(...summary.tips)
  else for await (const [key] of walk(db, keys.tableRange('k', avatar))) tips.push(keys.placeInKey(key))
  if (avatarDigest(summary.base, tips, fastHash) !== summary.digest) {
    throw new CorruptRowError(avatar, 'tips', 'they do not add up to the digest')
  }
  const pendingRecords: PendingRecord[] = []
  if (summary.pending + summary.incomplete > 0) {
    for await (const [key, row] of walk(db, keys.tableRange('p', avatar))) {
      pendingRecords.push(
        openRow(avatar, 'pending', key, row, (content) => rows.decodePendingRecord(keys.placeInKey(key), content)),
      )
    }
  }
  if (pendingRecords.length !== summary.pending + summary.incomplete) {
    throw new CorruptRowError(avatar, 'pending', 'one is missing')
  }
  const ids = new Set(pendingRecords.flatMap(({ names }) => names.map(({ id }) => id)))
  const named = await readOwnLocations(db, avatar, ids)
  const state = { base: summary.base, tips, pendingRecords }
  return new AvatarEntry(new LevelRows(db, avatar), avatar, { summary, state, named })
}
