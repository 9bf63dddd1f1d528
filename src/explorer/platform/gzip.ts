/** Stands for the node's `archive/gzip.ts` in a browser. */
import { ArchiveError } from '../../archive/errors.ts'

/** Whether bytes begin as a gzip file does (RFC 1952, section 2.3.1). */
export function isGzip(start: Uint8Array): boolean {
  return start[0] === 0x1f && start[1] === 0x8b
}

/** @throws ArchiveError `bad_gzip` after all that could be read */
export async function* gunzip(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const source = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async start(controller) {
      for await (const chunk of chunks) controller.enqueue(Uint8Array.from(chunk))
      controller.close()
    },
  })
  const reader = source.pipeThrough(new DecompressionStream('gzip')).getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield value
    }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    throw new ArchiveError(
      'bad_gzip',
      'The compressed data is damaged or cut short. Get the archive anew, or export it again.',
    )
  }
}
