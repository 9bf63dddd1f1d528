import type { SignatureEngine } from '../record/engine.ts'
import type { Avatar, VerifiedRecord } from '../record/types.ts'
import { verifyRecord } from '../record/verify.ts'
import { throwIfAborted } from './deadline.ts'
import { messageOf } from '../platform/errors.ts'
import { ClientError } from './errors.ts'
import { MAX_INVALID_RECORDS } from './limits.ts'
import type { NodeApi } from './node-api.ts'
import { readPages, type Pages } from './read-node.ts'
import { createSlices, nextTask } from './verify-records.ts'

/** A command has more memory than a page: twice what the client takes by default. */
const MAX_RECORDS = 500_000
const MAX_CHARACTERS = 512 * 1024 * 1024

/** All records that one node hands out of an avatar. */
export interface AllRecords {
  /** Verified, superseded ones among them, in order of arrival at the node. */
  readonly records: readonly VerifiedRecord[]
  /** What is wrong with the others, in words. Reading ends after some. */
  readonly faults: readonly string[]
}

export interface ReadAllOptions {
  readonly engine: SignatureEngine
  readonly network: string
  readonly signal?: AbortSignal | undefined
}

/**
 * Reads all records of an avatar from a node, and verifies every one.
 *
 * @returns undefined where the node does not know the avatar
 * @throws ClientError where the node cannot be read; `bad_answer` where its pages repeat or have no end
 */
export async function readAll(
  api: NodeApi,
  avatar: Avatar,
  { engine, network, signal }: ReadAllOptions,
): Promise<AllRecords | undefined> {
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
  const records: VerifiedRecord[] = []
  const slices = createSlices()
  for (const record of pages.records) {
    if (slices.isOver()) {
      await nextTask()
      throwIfAborted(signals)
      slices.begin()
    }
    try {
      records.push(verifyRecord(engine, network, record, { recoveryByte: false }))
    } catch (error) {
      faults.push(`it hands out a record that is not valid, ${record.id}: ${messageOf(error)}`)
      if (faults.length > MAX_INVALID_RECORDS) break
    }
  }
  return { records, faults }
}
