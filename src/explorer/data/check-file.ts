/** Checks an archive in the page with the node's own checker. The file is not uploaded. */
import { nobleEngine } from '../../record/engine.ts'
import { RecordError } from '../../record/errors.ts'
import { verifyRecord } from '../../record/verify.ts'
import { checkArchive, type CheckReport } from '../../archive/check.ts'
import { webPlatform } from '../../archive/web.ts'
import type { SignedRecord, VerifiedRecord } from '../../record/types.ts'

export type { CheckReport } from '../../archive/check.ts'

/** Work between two yields to the event loop: one frame at 60 Hz. */
const SLICE_MS = 14
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
        let due = performance.now() + SLICE_MS
        for (const record of records) {
          if (performance.now() >= due) {
            onProgress(read, verified)
            await new Promise((resolve) => setTimeout(resolve, 0))
            signal.throwIfAborted()
            due = performance.now() + SLICE_MS
          }
          results.push(verify(network, record, options))
          verified += 1
        }
        return results
      },
    }),
  })
}

function verify(
  network: string,
  record: SignedRecord,
  options: { readonly recoveryByte: boolean },
): VerifiedRecord | RecordError {
  try {
    return verifyRecord(nobleEngine, network, record, options)
  } catch (error) {
    if (error instanceof RecordError) return error
    throw error
  }
}
