import { RecordError } from '../record/errors.ts'
import type { Avatar, VerifiedRecord } from '../record/types.ts'
import { verifyRecords } from '../record/verify.ts'
import { ClientError } from './errors.ts'
import { replay, type HistoryEntry } from './history.ts'
import type { LocalAvatar } from './local-avatar.ts'
import { readPages } from './read-node.ts'
import type { CallOptions } from './types.ts'
import type { ClientParts } from './verified-reader.ts'
import { createSlices } from './verify-records.ts'

/**
 * All records of an avatar, the superseded ones included as far as a node still has them; every one verified. Live ones come
 * from all nodes, superseded ones from the first that answers.
 */
export async function readHistory(
  { pool, reader, engine, signal: own }: ClientParts,
  avatar: Avatar,
  { signal }: CallOptions,
): Promise<HistoryEntry[]> {
  const { local } = await reader.read(avatar, signal === undefined ? {} : { signal })
  const signals = [own, signal]
  const options = { engine, signals, signal }
  let failure: ClientError | undefined
  const old = await pool.first(async (api) => {
    const pages = await readPages(api, local, null, options, (code, message) => {
      failure = new ClientError('bad_answer', `The node at ${api.url}: ${message}.`, { node: api.url, nodeCode: code })
    })
    return pages === 'unknown' ? undefined : pages
  })
  const records = new Map([...local.records].map((record): [string, VerifiedRecord] => [record.id, record]))
  const superseded = (old?.records ?? []).filter(({ id }) => !records.has(id))
  const slices = createSlices()
  const results = await verifyRecords(engine, local.network, superseded, { recoveryByte: false }, async () => {
    if (slices.isOver()) await slices.pause(signals)
  })
  for (const result of results) {
    if (!(result instanceof RecordError)) records.set(result.id, result)
    else failure ??= new ClientError('bad_answer', `A record of the history is not valid: ${result.message}`)
  }
  if (failure !== undefined && records.size === 0) throw failure
  return replay(records.values(), (record) => statusIn(local, record), local.base)
}

/** Whether a record counts in the state that the verified records make. */
export function statusIn(local: LocalAvatar, record: VerifiedRecord): HistoryEntry['status'] {
  const isOld = record.body.counter < (local.base?.counter ?? 0)
  return isOld || local.get(record.id) === undefined ? 'superseded' : local.standing(record)
}
