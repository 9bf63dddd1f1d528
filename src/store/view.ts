/** The visible content of an avatar as JSON text (`view-text.ts`), read in steps from one moment. */
import { OWN_PLATFORM } from '../record/members.ts'
import type { Avatar } from '../record/types.ts'
import type { NamespaceName } from '../state/content.ts'
import type { Cell } from '../state/cell.ts'
import { decodeMember } from './cell-codec.ts'
import { openRow, type ReadSnapshot } from './database.ts'
import { type Database } from './level.ts'
import { afterRowRepair, CorruptRowError } from './errors.ts'
import type { Step } from './handle.ts'
import * as keys from './keys.ts'
import { mustBeUnclaimed, mustBeUnknown, withReadSnapshot } from './reader.ts'
import * as rows from './rows.ts'
import type { AvatarSummary, JsonSnapshot, ViewSnapshot } from './types.ts'
import { readMembers, readNamespaces, type Row, type Substitutes } from './view-text.ts'

/** Most rows per step. LevelDB also ends a step after the row that passes 16 KiB. */
const ROWS_A_STEP = 256
/** The moment to read, by default the present one. */
interface At {
  /** Closed by the caller, after the view. */
  readonly readSnapshot?: ReadSnapshot
  readonly substitutes?: Substitutes | undefined
}

/**
 * Opens the content of an avatar; undefined for an unknown one.
 *
 * @param step runs each later read of the database
 * @throws CorruptRowError, also during the later reads
 */
export async function openView(
  db: Database,
  avatar: Avatar,
  step: Step,
  { readSnapshot, substitutes }: At = {},
): Promise<ViewSnapshot | undefined> {
  const source = await openRows(db, keys.tableRange('v', avatar), step, readSnapshot)
  try {
    const [first] = source.first
    if (first === undefined) {
      mustBeUnknown(db, avatar)
      await source.close()
      return undefined
    }
    const [key, row] = first
    if (keys.kindOfViewKey(key) !== 'summary') throw new CorruptRowError(avatar, 'summary', 'it is missing')
    const decoded = openRow(avatar, 'summary', key, row, rows.decodeSummary)
    const summary: AvatarSummary = { ...decoded, avatar }
    return {
      summary,
      read: () => readNamespaces(avatar, decoded.namespaces, source.steps(), substitutes),
      close: source.close,
    }
  } catch (error) {
    await source.close()
    throw error
  }
}

/** Opens the current content of one namespace; undefined if it does not exist. @throws CorruptRowError as `openView` */
export async function openContent(
  db: Database,
  avatar: Avatar,
  name: NamespaceName,
  step: Step,
): Promise<JsonSnapshot | undefined> {
  const source = await openRows(db, keys.namespaceRange(avatar, name), step)
  if (source.first.length > 0) return { read: () => readMembers(avatar, source.steps()), close: source.close }
  await source.close()
  mustBeUnclaimed(db, avatar, name)
  return undefined
}

/** Opens the content of an avatar's own namespace; as `openContent`. */
export async function openOwnContent(
  db: Database,
  avatar: Avatar,
  step: Step,
  { readSnapshot, substitutes }: At,
): Promise<JsonSnapshot | undefined> {
  const name = { platform: OWN_PLATFORM, identity: avatar }
  const source = await openRows(db, keys.namespaceRange(avatar, name), step, readSnapshot)
  if (source.first.length > 0)
    return { read: () => readMembers(avatar, source.steps(), substitutes), close: source.close }
  await source.close()
  mustBeUnclaimed(db, avatar, name)
  return undefined
}

/** Reads the content of one namespace as of a moment. Its end throws CorruptRowError if a member is lost. */
export async function* readNamespace(
  db: Database,
  avatar: Avatar,
  name: NamespaceName,
  step: Step,
  readSnapshot: ReadSnapshot,
): AsyncGenerator<Uint8Array> {
  const source = await openRows(db, keys.namespaceRange(avatar, name), step, readSnapshot)
  try {
    yield* readMembers(avatar, source.steps())
  } finally {
    await source.close()
  }
}

/**
 * Reads one member of a content, present or deleted, with the stamps of all records that wrote to it.
 *
 * @returns null if no record has written the member, undefined if the namespace does not exist
 * @throws CorruptRowError
 */
export async function readMember(
  db: Database,
  avatar: Avatar,
  namespace: NamespaceName,
  member: string,
): Promise<Cell | null | undefined> {
  const found = await withReadSnapshot(db, async (readSnapshot) => {
    for (const deleted of [false, true]) {
      const key = keys.memberKey(avatar, namespace, member, deleted)
      const row = await db.get(key, { snapshot: readSnapshot })
      if (row !== undefined) return openRow(avatar, 'member', key, row, decodeMember).cell
    }
    return undefined
  })
  return found ?? (await confirmAbsence(db, avatar, namespace))
}

/** Reads the whole namespace: its own row tells whether a member's row was lost. */
async function confirmAbsence(db: Database, avatar: Avatar, namespace: NamespaceName): Promise<null | undefined> {
  const content = await openContent(db, avatar, namespace, (read) => read())
  if (content === undefined) return undefined
  try {
    for await (const _chunk of content.read());
    return null
  } finally {
    await content.close()
  }
}

/** Wraps a moment: if a row fails its check during a read, `repairRow` is called and the reader gets a StoreError. */
export function withRowRepair<T extends JsonSnapshot>(
  readSnapshot: T,
  repairRow: (error: CorruptRowError) => Promise<void>,
): T {
  return {
    ...readSnapshot,
    async *read() {
      try {
        yield* readSnapshot.read()
      } catch (error) {
        throw await afterRowRepair(error, repairRow)
      }
    },
  }
}

/** The rows of a range as of one moment. They can be read several times. */
interface RowSource {
  /** The first rows of the range; empty if the range is. */
  readonly first: readonly Row[]
  steps(): AsyncIterable<readonly Row[]>
  readonly close: () => Promise<void>
}

async function openRows(
  db: Database,
  range: keys.KeyRange,
  step: Step,
  readSnapshot?: ReadSnapshot,
): Promise<RowSource> {
  const iterator = db.iterator(readSnapshot === undefined ? range : { ...range, snapshot: readSnapshot })
  const close = (): Promise<void> => iterator.close()
  let isAtStart = true
  let first: readonly Row[]
  try {
    first = (await iterator.nextv(ROWS_A_STEP)) as Row[]
  } catch (error) {
    await close()
    throw error
  }
  return {
    first,
    close,
    async *steps() {
      if (isAtStart) yield first
      let isToSeek = !isAtStart
      isAtStart = false
      for (;;) {
        const some = await step(async () => {
          if (isToSeek) iterator.seek(range.gte)
          isToSeek = false
          return (await iterator.nextv(ROWS_A_STEP)) as Row[]
        })
        if (some.length === 0) return
        yield some
      }
    },
  }
}
