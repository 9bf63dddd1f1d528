import { Worker } from 'node:worker_threads'
import { messageOf } from '../platform/errors.ts'
import type { SignedRecord } from '../record/types.ts'
import type { VerifyOptions } from '../record/verify.ts'
import type { Logger } from '../observe/types.ts'
import { packRecords } from './messages.ts'
import type { VerifyReply, VerifyRequest, WorkerSettings } from './messages.ts'

/** After this many crashes in a row, without an answer in between, the node verifies without workers. */
const MAX_CRASHES = 5

/**
 * Size of a worker's young generation, in MB. Next to nothing outlives a message, so a small one costs no more CPU; V8 would let
 * it grow to 48 MB.
 */
const YOUNG_GENERATION_MB = 6

export interface WorkerPool {
  /** Starts the workers that do not run yet, so that the first records need not wait for that. */
  prepare(): void
  /** Has records verified by the worker with the least work. Null if that failed: the caller must verify them. */
  run(records: readonly SignedRecord[], options: VerifyOptions): Promise<VerifyReply | null>
  close(): Promise<void>
}

/** One worker, started when it is first needed and again after it has crashed. */
interface Slot {
  worker: Worker | null
  /** Records that it has to answer. */
  load: number
  readonly jobs: Map<number, Job>
}

interface Job {
  readonly load: number
  readonly resolve: (reply: VerifyReply | null) => void
}

/**
 * Threads that verify. They keep the process alive only while they have work.
 *
 * @param options.url the worker's script
 * @param options.size how many threads
 */
export function createWorkerPool(
  { logger }: { readonly logger: Pick<Logger, 'warn' | 'error'> },
  options: { readonly url: URL; readonly size: number; readonly settings: WorkerSettings },
): WorkerPool {
  const slots: Slot[] = Array.from({ length: options.size }, () => ({ worker: null, load: 0, jobs: new Map() }))
  let crashes = 0
  let nextJob = 0
  let closed = false

  function start(slot: Slot): Worker {
    const worker = new Worker(options.url, {
      workerData: options.settings,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    })
    slot.worker = worker
    worker.unref()
    worker.on('message', (reply: VerifyReply) => {
      crashes = 0
      settle(slot, reply.job, reply)
    })
    worker.on('error', (error) => {
      logger.warn({ error: messageOf(error) }, 'a verification worker failed')
    })
    worker.on('exit', () => {
      slot.worker = null
      if (!closed) {
        crashes++
        if (crashes === MAX_CRASHES) logger.error('verification workers keep failing: verifying without them')
      }
      for (const job of [...slot.jobs.keys()]) settle(slot, job, null)
    })
    return worker
  }

  function settle(slot: Slot, id: number, reply: VerifyReply | null): void {
    const job = slot.jobs.get(id)
    if (job === undefined) return
    slot.jobs.delete(id)
    slot.load -= job.load
    if (slot.jobs.size === 0) slot.worker?.unref()
    job.resolve(reply)
  }

  return {
    prepare() {
      if (closed || crashes >= MAX_CRASHES) return
      for (const slot of slots) if (slot.worker === null) start(slot)
    },
    async run(records, { recoveryByte }) {
      const slot = slots.reduce<Slot | null>((least, each) => (least && least.load <= each.load ? least : each), null)
      if (closed || crashes >= MAX_CRASHES || slot === null) return null
      const worker = slot.worker ?? start(slot)
      const request: VerifyRequest = {
        job: nextJob++,
        count: records.length,
        recoveryByte,
        packed: packRecords(records),
      }
      return await new Promise((resolve) => {
        slot.jobs.set(request.job, { load: records.length, resolve })
        slot.load += records.length
        worker.ref()
        worker.postMessage(request, [request.packed])
      })
    },
    async close() {
      closed = true
      await Promise.all(slots.map((slot) => slot.worker?.terminate()))
    },
  }
}
