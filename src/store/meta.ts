/** The store's own metadata, and whether this version may open the store. */
import type { Logger } from '../observe/types.ts'
import type { Environment, Randomness } from '../platform/environment.ts'
import { bytesText, textBytes, toHex } from './bytes.ts'
import { NOTHING } from './counts.ts'
import { countsOfAll } from './count-all.ts'
import { writeDurably } from './database.ts'
import { del, put, putSealed, type Database, type Operation } from './level.ts'
import { StoreError } from './errors.ts'
import { floorOperation } from './feed.ts'
import * as keys from './keys.ts'
import { convertRows, countHistory, hasOldRecords, recountMissing } from './layout.ts'
import type { StoreMark } from './mark.ts'
import { openSealed, startRow } from './seal.ts'
import { greatestSequence, readTotals, totalsOperation, type Totals } from './totals.ts'

/** The layout of `keys.ts` and `rows.ts`. `layout.ts` converts data of older layouts. */
const SCHEMA = 4
const EPOCH_BYTES = 8

type TextName = 'network' | 'epoch' | 'archive' | 'keeps_erased'

export interface Meta extends Totals {
  readonly epoch: string
  /** Whether history is kept. */
  readonly archive: boolean
  /** Whether the history of erased avatars is kept, too. */
  readonly keepsErased: boolean
}

interface MetaComponents {
  readonly environment: Pick<Environment, 'clock' | 'random'>
  readonly logger: Logger
}

export interface MetaOptions {
  readonly network: string
  /** Whether to keep superseded records; undefined: as before. On a change to false, tasks to prune them are added. */
  readonly archive: boolean | undefined
  /** Whether the history of erased avatars is kept; undefined: as before. On a change to false, tasks to prune are added. */
  readonly keepsErased: boolean | undefined
  /** Whether a store certainly exists. Missing metadata then means damage, not a new store. */
  readonly isKnown: boolean
}

/**
 * Reads the metadata of a store, or creates a store in an empty database. Converts data of an older layout.
 *
 * @throws StoreError `schema_newer`, `wrong_network`, `unreadable`
 */
export async function readMeta(
  db: Database,
  { network, archive: wanted, keepsErased, isKnown }: MetaOptions,
  { environment, logger }: MetaComponents,
): Promise<Meta> {
  const schema = await db.get(keys.metaKey('schema'))
  if (schema === undefined) {
    const isEmpty = (await db.keys({ limit: 1 }).all()).length === 0
    if (isKnown || !isEmpty) throw damaged('layout')
    return begin(
      db,
      network,
      { archive: wanted ?? false, keepsErased: keepsErased ?? true },
      newEpoch(environment.random),
    )
  }
  const text = Buffer.from(schema).toString('latin1')
  if (!/^[1-9][0-9]{0,8}$/.test(text)) throw damaged('layout')
  const layout = Number(text)
  mustBeReadable(text)
  const storedNetwork = await readText(db, 'network')
  const epoch = await readText(db, 'epoch')
  mustBeOf(network, storedNetwork)
  if (layout < SCHEMA) await beginUpgrade(db)
  await finishUpgrade(db, { environment, logger })
  const archive = await followArchive(db, wanted, logger)
  return { epoch, archive, keepsErased: await followErased(db, keepsErased, logger), ...(await readTotals(db)) }
}

/**
 * Rewrites the metadata of a store in which any row may be lost or out of date. The store gets a new epoch, because a sequence
 * of the old one may now belong to another record. The totals must be counted afterwards.
 *
 * @param mark sequences up to its `lastSequence` are not assigned again
 * @throws StoreError `wrong_network`, `schema_newer`
 */
export async function repairMeta(
  db: Database,
  network: string,
  mark: Pick<StoreMark, 'network' | 'lastSequence'>,
  { environment, logger }: MetaComponents,
): Promise<void> {
  mustBeOf(network, (await readText(db, 'network').catch(() => undefined)) ?? mark.network ?? network)
  const schema = await db.get(keys.metaKey('schema'))
  if (schema !== undefined) mustBeReadable(Buffer.from(schema).toString('latin1'))
  // Any row may be lost, the one with the layout too.
  await beginUpgrade(db)
  await convertRows(db, { environment, logger })
  const lastSequence = Math.max(mark.lastSequence, await greatestSequence(db))
  const totals = totalsOperation({ ...NOTHING, avatars: 0, lastSequence })
  const epoch = newEpoch(environment.random)
  await writeDurably(db, [putText('network', network), putText('epoch', epoch), totals])
}

/** Applies a change of `archive`: adds a task to prune each avatar with history if history is no longer kept. */
async function followArchive(db: Database, wanted: boolean | undefined, logger: Logger): Promise<boolean> {
  const before = await readText(db, 'archive').catch(() => undefined)
  // If the stored value is unreadable, nothing is pruned without an explicit request.
  const archive = wanted ?? before !== 'false'
  if (before === String(archive)) return archive
  const avatars = archive ? 0 : await pruneAllWithHistory(db)
  if (avatars > 0)
    logger.warn({ avatars }, 'archive is off now: the node deletes the records that snapshots have replaced')
  await writeDurably(db, [putText('archive', String(archive))])
  return archive
}

/** The same for the history of erased avatars. */
async function followErased(db: Database, wanted: boolean | undefined, logger: Logger): Promise<boolean> {
  // Stores of earlier versions do not have the value; they kept all history.
  const before = await readText(db, 'keeps_erased').catch(() => 'true')
  const isKept = wanted ?? before !== 'false'
  if (before === String(isKept)) return isKept
  const avatars = isKept ? 0 : await pruneAllWithHistory(db)
  const text = 'archive_erased is off: the node looks for avatars whose owners erased them, and deletes their history'
  if (avatars > 0) logger.warn({ avatars }, text)
  await writeDurably(db, [putText('keeps_erased', String(isKept))])
  return isKept
}

/** Adds a task to prune for each avatar with history, and counts them. The task looks at what is to be kept. */
async function pruneAllWithHistory(db: Database): Promise<number> {
  let avatars = 0
  for await (const step of countsOfAll(db)) {
    const operations = step
      .filter(([, counts]) => counts === undefined || counts.keptRecords > counts.records)
      .map(([avatar]) => put(keys.taskKey('g', avatar)))
    await writeDurably(db, operations)
    avatars += operations.length
  }
  return avatars
}

async function begin(
  db: Database,
  network: string,
  { archive, keepsErased }: Pick<Meta, 'archive' | 'keepsErased'>,
  epoch: string,
): Promise<Meta> {
  const totals = { lastSequence: 0, avatars: 0, ...NOTHING }
  await writeDurably(db, [
    layoutOperation(),
    putText('network', network),
    putText('epoch', epoch),
    putText('archive', String(archive)),
    putText('keeps_erased', String(keepsErased)),
    totalsOperation(totals),
    floorOperation(0),
    put(keys.metaKey('links')),
  ])
  return { epoch, archive, keepsErased, ...totals }
}

/** Marks the data as of this layout, which older versions refuse, and as not yet converted. */
async function beginUpgrade(db: Database): Promise<void> {
  await writeDurably(db, [layoutOperation(), put(keys.metaKey('upgrade'))])
}

/** Converts data of an older layout, if there is some left. */
async function finishUpgrade(db: Database, components: MetaComponents): Promise<void> {
  const isBegun = (await db.get(keys.metaKey('upgrade'))) !== undefined
  if (!isBegun && !(await hasOldRecords(db))) return
  await convertRows(db, components)
  await countHistory(db)
  await recountMissing(db)
  await writeDurably(db, [del(keys.metaKey('upgrade'))])
}

function layoutOperation(): Operation {
  return put(keys.metaKey('schema'), textBytes(String(SCHEMA)))
}

function putText(name: TextName, text: string): Operation {
  return putSealed(keys.metaKey(name), startRow(32).bytes(textBytes(text)).finish())
}

async function readText(db: Database, name: TextName): Promise<string> {
  const key = keys.metaKey(name)
  const text = openSealed(key, await db.get(key), bytesText)
  if (text === undefined) throw damaged(name)
  return text
}

function damaged(what: string): StoreError {
  return new StoreError(
    'unreadable',
    `The ${what} row of the store is lost or damaged. Check the disk. Then restore a backup ` +
      '(avatar-kv restore), save the records that are left (avatar-kv repair), or start with another --data-dir and let ' +
      'peers send the records again.',
  )
}

/** @throws StoreError `schema_newer` */
function mustBeReadable(layout: string): void {
  if (!(Number(layout) > SCHEMA)) return
  throw new StoreError(
    'schema_newer',
    `This data was written by a newer avatar-kv (layout ${layout}; this version knows ${SCHEMA}). ` +
      'Upgrade avatar-kv, or choose another directory with --data-dir.',
  )
}

/** @throws StoreError `wrong_network` */
function mustBeOf(wanted: string, stored: string): void {
  if (stored === wanted) return
  throw new StoreError(
    'wrong_network',
    `This data belongs to the network "${stored}", not to "${wanted}". ` +
      'Start with that --network, or choose another directory with --data-dir.',
  )
}

function newEpoch(random: Randomness): string {
  return toHex(random.bytes(EPOCH_BYTES)).slice(2)
}
