import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { SignedRecord } from '../../src/record/types.ts'

export interface PresignSpec {
  /** Keys follow from it: one name, one set of avatars. */
  readonly name: string
  readonly avatars: number
  readonly perAvatar: number
  /** Payloads are padded to this length; longer ones (large counters) stay as they are. */
  readonly payloadBytes: number
  /** Top-level keys that each avatar's patches go round. */
  readonly keys: number
}

/** Signs chains of patches in a worker, before anything is timed. First records of all avatars come first, and so on. */
export async function presign(spec: PresignSpec): Promise<SignedRecord[]> {
  const worker = new Worker(new URL('./presign-worker.js', import.meta.url), { workerData: spec })
  const [records] = (await once(worker, 'message')) as [SignedRecord[]]
  await worker.terminate()
  return records
}
