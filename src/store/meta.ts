/** What the store says of itself, and whether this version may open it. */
import type { Randomness } from '../environment.ts'
import { ByteReader, bytesText, textBytes, toHex } from './bytes.ts'
import { walk, writeDurably, type Database, type Operation } from './database.ts'
import { StoreError } from './errors.ts'
import * as keys from './keys.ts'
import { seal, startRow, unseal } from './rows.ts'

/** The layout of `keys.ts` and `rows.ts`. */
const SCHEMA = 1
const EPOCH_BYTES = 8

export interface Totals {
  readonly lastSequence: number
  readonly avatars: number
  readonly records: number
}

export interface Meta extends Totals {
  readonly epoch: string
}

export function totalsOperation({ lastSequence, avatars, records }: Totals): Operation {
  const key = keys.metaKey('totals')
  const content = startRow(24).u64(lastSequence).u64(avatars).u64(records).finish()
  return { type: 'put', key, value: seal(key, content) }
}

/**
 * Reads what an existing store says of itself, or begins a new one.
 *
 * @throws StoreError `schema_newer`, `wrong_network`
 */
export async function readMeta(
  db: Database,
  network: string,
  { random }: { readonly random: Randomness },
): Promise<Meta> {
  const schema = await db.get(keys.metaKey('schema'))
  if (schema === undefined) return begin(db, network, toHex(random.bytes(EPOCH_BYTES)).slice(2))
  if (!/^[1-9][0-9]{0,8}$/.test(Buffer.from(schema).toString('latin1'))) throw damaged('its layout')
  if (Number(bytesText(schema)) !== SCHEMA) {
    throw new StoreError(
      'schema_newer',
      `This data was written by a newer avatar-kv (layout ${bytesText(schema)}; this version knows ${SCHEMA}). ` +
        'Upgrade avatar-kv, or choose another directory with --data-dir.',
    )
  }
  const storedNetwork = await readText(db, 'network')
  const epoch = await readText(db, 'epoch')
  if (storedNetwork !== network) {
    throw new StoreError(
      'wrong_network',
      `This data is of the network "${storedNetwork}", not of "${network}". ` +
        'Start with that --network, or choose another directory with --data-dir.',
    )
  }
  return { epoch, ...(await readTotals(db)) }
}

async function begin(db: Database, network: string, epoch: string): Promise<Meta> {
  const totals = { lastSequence: 0, avatars: 0, records: 0 }
  await writeDurably(db, [
    { type: 'put', key: keys.metaKey('schema'), value: textBytes(String(SCHEMA)) },
    putText('network', network),
    putText('epoch', epoch),
    totalsOperation(totals),
  ])
  return { epoch, ...totals }
}

function putText(name: 'network' | 'epoch', text: string): Operation {
  const key = keys.metaKey(name)
  return { type: 'put', key, value: seal(key, startRow(32).bytes(textBytes(text)).finish()) }
}

async function readText(db: Database, name: 'network' | 'epoch'): Promise<string> {
  const key = keys.metaKey(name)
  const row = await db.get(key)
  const content = row && unseal(key, row)
  if (content === undefined) throw damaged(`its ${name}`)
  return bytesText(content)
}

function damaged(what: string): StoreError {
  return new StoreError(
    'unreadable',
    `The data no longer says what ${what} is: the disk has damaged it. Restore a backup, or start with another ` +
      '--data-dir and let peers send the records again.',
  )
}

/** The totals as stored, or, where that row fails its check, counted. */
async function readTotals(db: Database): Promise<Totals> {
  const key = keys.metaKey('totals')
  const row = await db.get(key)
  const content = row && unseal(key, row)
  if (content !== undefined) {
    const reader = new ByteReader(content)
    return { lastSequence: reader.u64(), avatars: reader.u64(), records: reader.u64() }
  }
  let lastSequence = 0
  for await (const [each] of walk(db, keys.tableRange('r'))) {
    lastSequence = Math.max(lastSequence, keys.sequenceInKey(each))
  }
  for await (const [each] of walk(db, keys.tableRange('f'), { reverse: true, limit: 1 })) {
    lastSequence = Math.max(lastSequence, keys.sequenceInKey(each))
  }
  let avatars = 0
  let records = 0
  for await (const _ of walk(db, keys.tableRange('a'))) avatars += 1
  for await (const _ of walk(db, keys.tableRange('o'))) records += 1
  return { lastSequence, avatars, records }
}
