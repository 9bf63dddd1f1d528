/** Checks an archive in the page with the node's own checker. The file is not uploaded. */
import { nobleEngine } from '../../record/engine.ts'
import type { RecordError } from '../../record/errors.ts'
import { verifyOrError } from '../../record/verify.ts'
import { createSlices, nextTask } from '../../client/verify-records.ts'
import { checkArchive, type CheckReport } from '../../archive/check.ts'
import { webPlatform } from '../../archive/web.ts'
import type { SignedRecord, VerifiedRecord } from '../../record/types.ts'

export type { CheckReport } from '../../archive/check.ts'

/** Bytes without a record in them after which the page stops reading. */
const NOISE_BYTES = 32 * 1024 * 1024

export async function checkFile(
  file: Blob,
  onProgress: (bytesRead: number, records: number) => void,
  signal: AbortSignal,
): Promise<CheckReport> {
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
        const results: (VerifiedRecord | RecordError)[] = []
        const slices = createSlices()
        for (const record of records) {
          if (slices.isOver()) {
            onProgress(read, verified)
            await nextTask()
            signal.throwIfAborted()
            slices.begin()
          }
          results.push(verifyOrError(nobleEngine, network, record, options))
          verified += 1
        }
        return results
      },
    }),
  })
}
