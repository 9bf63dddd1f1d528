/** The stored totals of all avatars. */
import { ByteReader } from './bytes.ts'
import type { Counts } from './counts.ts'
import { countAll } from './count-all.ts'
import { walk, writeDurably } from './database.ts'
import { putSealed, type Database, type Operation } from './level.ts'
import * as keys from './keys.ts'
import { openSealed, startRow } from './seal.ts'

export interface Totals extends Counts {
  readonly lastSequence: number
  readonly avatars: number
}

export function totalsOperation(totals: Totals): Operation {
  const { lastSequence, avatars, records, bytes, keptRecords, keptBytes } = totals
  const content = startRow(48)
  for (const each of [lastSequence, avatars, records, bytes, keptRecords, keptBytes]) content.u64(each)
  return putSealed(keys.metaKey('totals'), content.finish())
}

/** Totals that the next opening must count. The newest sequence is stored: no row may have it once its record is pruned. */
export function uncountedTotals(lastSequence: number): Operation {
  return putSealed(keys.metaKey('totals'), startRow(8).u64(lastSequence).finish())
}

function decodeTotals(content: Uint8Array): Totals {
  const reader = new ByteReader(content)
  const [lastSequence, avatars] = [reader.u64(), reader.u64()]
  const [records, bytes, keptRecords, keptBytes] = [reader.u64(), reader.u64(), reader.u64(), reader.u64()]
  return { lastSequence, avatars, records, bytes, keptRecords, keptBytes }
}

/** Reads the totals. If they are not counted, or their row fails its check, counts and stores them again. */
export async function readTotals(db: Database): Promise<Totals> {
  const key = keys.metaKey('totals')
  const stored = openSealed(key, await db.get(key), decodeTotals)
  if (stored !== undefined) return stored
  const lastSequence = Math.max(await storedSequence(db), await greatestSequence(db))
  const totals = { lastSequence, ...(await countAll(db)) }
  await writeDurably(db, [totalsOperation(totals)])
  return totals
}

/** Makes the next opening count the totals. */
export async function uncount(db: Database): Promise<Operation> {
  return uncountedTotals(await storedSequence(db))
}

/** The newest sequence in the row of the totals; 0 if it fails its check. */
async function storedSequence(db: Database): Promise<number> {
  const key = keys.metaKey('totals')
  return openSealed(key, await db.get(key), (content) => new ByteReader(content).u64()) ?? 0
}

/** The greatest sequence of a record or feed entry that is stored. */
export async function greatestSequence(db: Database): Promise<number> {
  let greatest = 0
  for (const table of ['s', 'f'] as const) {
    for await (const [key] of walk(db, keys.tableRange(table), { reverse: true, limit: 1, values: false })) {
      greatest = Math.max(greatest, keys.sequenceInKey(key))
    }
  }
  return greatest
}
