import { RecordError } from '../record/errors.ts'
import type { Avatar, VerifiedRecord } from '../record/types.ts'
import { verifyRecords } from '../record/verify.ts'
import { ClientError } from './errors.ts'
import { MAX_INVALID_RECORDS, PAGE_RECORDS } from './limits.ts'
import type { NodeApi } from './node-api.ts'
import { readPages, type Pages, type ReadOptions } from './read-node.ts'
import { createSlices } from './verify-records.ts'

/** A command has more memory than a page: twice what the client takes by default. */
const MAX_RECORDS = 500_000
const MAX_CHARACTERS = 512 * 1024 * 1024

/**
 * Reads all records of an avatar from a node, and verifies every one.
 *
 * @returns `records`: verified, superseded ones among them, in order of arrival at the node; `faults`: what is wrong with the
 * others, in words; undefined if the node does not know the avatar
 * @throws ClientError where the node cannot be read; `bad_answer` where its pages repeat or have no end
 */
export async function readAll(
  api: NodeApi,
  avatar: Avatar,
  { engine, network, signal }: Pick<ReadOptions, 'engine' | 'signal'> & { readonly network: string },
): Promise<{ readonly records: readonly VerifiedRecord[]; readonly faults: readonly string[] } | undefined> {
  const signals = [signal]
  const faults: string[] = []
  let endless: ClientError | undefined
  const pages: Pages | 'unknown' = await readPages(
    api,
    { avatar, network },
    null,
    { engine, signals, signal, maxRecords: MAX_RECORDS, maxCharacters: MAX_CHARACTERS },
    (code, why) => {
      if (code === 'endless' || code === 'repeats') {
        endless = new ClientError('bad_answer', `The node at ${api.url}: ${why}.`, { node: api.url, nodeCode: code })
      } else faults.push(why)
    },
  )
  if (endless !== undefined) throw endless
  if (pages === 'unknown') return undefined
  const slices = createSlices()
  const records: VerifiedRecord[] = []
  for (let at = 0; at < pages.records.length && faults.length <= MAX_INVALID_RECORDS; at += PAGE_RECORDS) {
    const some = pages.records.slice(at, at + PAGE_RECORDS)
    const results = await verifyRecords(engine, network, some, { recoveryByte: false }, async () => {
      if (slices.isOver()) await slices.pause(signals)
    })
    for (const [index, result] of results.entries()) {
      if (!(result instanceof RecordError)) records.push(result)
      else faults.push(`it hands out a record that is not valid, ${some[index]?.id}: ${result.message}`)
    }
  }
  return { records, faults }
}
