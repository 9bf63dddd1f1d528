/** Checks an archive in the page with the node's own checker. The file is not uploaded. */
import { verifyRecords } from '../../record/verify.ts'
import { createSlices, nextTask } from '../../client/verify-records.ts'
import { checkArchive, type CheckReport } from '../../archive/check.ts'
import { webPlatform } from '../../archive/web.ts'
import { createPageEngine } from '../verify/page-engine.ts'
import { startWorkers } from '../verify/start-workers.ts'
import type { SignedRecord } from '../../record/types.ts'

export type { CheckReport } from '../../archive/check.ts'

/** Bytes without a record in them after which the page stops reading. */
const NOISE_BYTES = 32 * 1024 * 1024

export async function checkFile(
  file: Blob,
  onProgress: (bytesRead: number, records: number) => void,
  signal: AbortSignal,
): Promise<CheckReport> {
  const engine = createPageEngine(startWorkers)
  let read = 0
  let verified = 0
  async function* chunks(): AsyncGenerator<Uint8Array> {
    const reader = file.stream().getReader()
    try {
      for (;;) {
        signal.throwIfAborted()
        const { done, value } = await reader.read()
        if (done) return
        read += value.length
        onProgress(read, verified)
        yield value
      }
    } finally {
      await reader.cancel()
    }
  }
  return await checkArchive(webPlatform, {
    chunks: chunks(),
    maxNoiseBytes: NOISE_BYTES,
    verifierFor: (network) => ({
      async verify(records: readonly SignedRecord[], options) {
        const before = verified
        const slices = createSlices()
        const results = await verifyRecords(engine, network, records, options, async (done) => {
          if (!slices.isOver()) return
          // Several calls may wait when the person stops the check.
          signal.throwIfAborted()
          onProgress(read, before + done)
          await nextTask()
          signal.throwIfAborted()
          slices.begin()
        })
        verified = before + records.length
        return results
      },
    }),
  })
}
