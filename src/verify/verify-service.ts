import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { yieldToEventLoop } from '../platform/yield.ts'
import type { EngineName, SignatureEngine } from '../record/engine.ts'
import { RecordError } from '../record/errors.ts'
import { idText } from '../record/id.ts'
import { readVerifiedPayload } from '../record/payload.ts'
import { RECOVERABLE_SIGNATURE_BYTES, SIGNATURE_BYTES } from '../record/signature.ts'
import type { SignedRecord, VerifiedRecord } from '../record/types.ts'
import { mintVerified, verifyOrError } from '../record/verify.ts'
import type { VerifyOptions } from '../record/verify.ts'
import type { Logger } from '../observe/types.ts'
import { VerifyError } from './errors.ts'
import { KnownRecords } from './known-records.ts'
import type { ReadStored } from './known-records.ts'
import { ID_BYTES } from './messages.ts'
import type { VerifyReply } from './messages.ts'
import { createWorkerPool } from './pool.ts'
import type { VerifyService } from './types.ts'

type Result = VerifiedRecord | RecordError

/**
 * As many records as this go to the workers, fewer are verified on the calling thread. A worker takes about 1 ms to answer, even
 * for one record, but spares the calling thread 55 µs a record (libsecp256k1), which limits the rate of single writes.
 */
const FOR_WORKERS: Readonly<Record<EngineName, number>> = { libsecp256k1: 5, 'libsecp256k1-wasm': 2, noble: 1 }

/** Records verified on the calling thread before it yields to the event loop: up to 2.5 ms. */
const INLINE_RECORDS: Readonly<Record<EngineName, number>> = { libsecp256k1: 32, 'libsecp256k1-wasm': 8, noble: 1 }

/** Payload bytes verified at once on the calling thread: about 2 ms of decoding and hashing. One record may exceed it. */
const INLINE_BYTES = 65_536

/** Records in a message to a worker. 64 reach 95 % of the rate of 256; larger messages gain nothing. */
const CHUNK_RECORDS = 256
/** Below this, splitting a batch over the workers costs more than it saves. */
const MIN_CHUNK_RECORDS = 16
/** Payload bytes in a message, so that no message takes long to copy and several workers share a batch of large records. */
const CHUNK_BYTES = 1_048_576

/** More workers than this verify faster than the rest of the node can store. */
export const MAX_DEFAULT_WORKERS = 4

export interface VerifyServiceOptions {
  readonly network: string
  /** Threads; 0 for none. Default: one for each core, at most 4. */
  readonly workers?: number
  /** The worker's script. Default: `worker.js` beside this file, which exists in the build; without it, no threads. */
  readonly workerUrl?: URL
}

/**
 * A service that verifies few records at once on the calling thread, and many in worker threads. Its verdicts are those of
 * `verifyRecord`; a record that it has verified before, or that the store has, is not verified again. A worker that crashes
 * is replaced, and its records are verified on the calling thread.
 *
 * @param components.engine from `selectEngine`; the workers use the same one
 * @param components.stored reads records that the store has; default: none
 */
export function createVerifyService(
  components: {
    readonly engine: SignatureEngine
    readonly logger: Pick<Logger, 'warn' | 'error'>
    readonly stored?: ReadStored
  },
  options: VerifyServiceOptions,
): VerifyService {
  const { engine, logger } = components
  const { network, workers = Math.min(availableParallelism(), MAX_DEFAULT_WORKERS) } = options
  const url = options.workerUrl ?? new URL('./worker.js', import.meta.url)
  const size = existsSync(url) ? workers : 0
  if (size < workers) logger.warn({ url: url.href }, 'no verification workers: their script is not there')
  const pool = createWorkerPool({ logger }, { url, size, settings: { engine: engine.name, network } })
  const inlineRecords = INLINE_RECORDS[engine.name]
  const known = new KnownRecords((bytes) => engine.keccak256(bytes), components.stored)
  const running = new Set<Promise<unknown>>()
  let closed = false

  async function verifyAllHere(records: readonly SignedRecord[], verifyOptions: VerifyOptions): Promise<Result[]> {
    const results: Result[] = []
    let bytes = 0
    for (const record of records) {
      bytes += record.payload.length
      if (results.length > 0 && (results.length % inlineRecords === 0 || bytes > INLINE_BYTES)) {
        await yieldToEventLoop()
        bytes = record.payload.length
      }
      results.push(verifyOrError(engine, network, record, verifyOptions))
    }
    return results
  }

  async function verifyChunk(records: readonly SignedRecord[], verifyOptions: VerifyOptions): Promise<Result[]> {
    const reply = await pool.run(records, verifyOptions)
    return reply === null ? await verifyAllHere(records, verifyOptions) : mintAll(records, reply)
  }

  async function verifyAll(records: readonly SignedRecord[], verifyOptions: VerifyOptions): Promise<Result[]> {
    const bytes = records.reduce((sum, { payload }) => sum + payload.length, 0)
    if (size === 0 || (records.length < FOR_WORKERS[engine.name] && bytes <= INLINE_BYTES))
      return await verifyAllHere(records, verifyOptions)
    const chunks = split(records, size)
    return (await Promise.all(chunks.map((chunk) => verifyChunk(chunk, verifyOptions)))).flat()
  }

  async function verifyUnknown(records: readonly SignedRecord[], verifyOptions: VerifyOptions): Promise<Result[]> {
    const found = await known.find(records, verifyOptions.recoveryByte)
    const unknown = records.filter((_, at) => found[at] === undefined)
    const verified = unknown.length === 0 ? [] : await verifyAll(unknown, verifyOptions)
    for (const [at, result] of verified.entries()) {
      if (!(result instanceof RecordError)) known.note(unknown[at] as SignedRecord, result)
    }
    const rest = verified.values()
    return found.map((record) => record ?? (rest.next().value as Result))
  }

  return {
    engine: engine.name,
    prepare() {
      if (!closed) pool.prepare()
    },
    async verify(records, verifyOptions) {
      if (closed) throw new VerifyError('closed', 'The verification service is closed: the node is stopping.')
      const work = verifyUnknown(records, verifyOptions)
      running.add(work)
      try {
        return await work
      } finally {
        running.delete(work)
      }
    },
    async close() {
      closed = true
      await Promise.allSettled(running)
      await pool.close()
    },
  }
}

/** Splits a batch for a number of workers, in order. */
function split(records: readonly SignedRecord[], workers: number): SignedRecord[][] {
  const share = Math.ceil(records.length / workers)
  const most = Math.min(Math.max(share, MIN_CHUNK_RECORDS), CHUNK_RECORDS)
  const chunks: SignedRecord[][] = []
  let chunk: SignedRecord[] = []
  let bytes = 0
  for (const record of records) {
    if (chunk.length === 0 || chunk.length === most || bytes >= CHUNK_BYTES) {
      chunk = []
      chunks.push(chunk)
      bytes = 0
    }
    chunk.push(record)
    bytes += record.payload.length
  }
  return chunks
}

function mintAll(records: readonly SignedRecord[], { ids, faults }: VerifyReply): Result[] {
  const errors = new Map(faults.map(({ index, code, message }) => [index, new RecordError(code, message)]))
  return records.map((record, i) => {
    const error = errors.get(i)
    if (error !== undefined) return error
    const { payload, signature } = record
    const id = idText(new Uint8Array(ids, i * ID_BYTES, ID_BYTES))
    const compact = signature.length === RECOVERABLE_SIGNATURE_BYTES ? signature.slice(0, SIGNATURE_BYTES) : signature
    return mintVerified({ payload, signature: compact }, id, readVerifiedPayload(payload))
  })
}
