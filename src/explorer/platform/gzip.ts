/** Stands for the node's `archive/gzip.ts` in a browser. */
import { ArchiveError } from '../../archive/errors.ts'

/** A browser inflates a chunk as a whole, up to 1,032 times its size: so at most 16 MiB wait at once. */
const STEP_BYTES = 16 * 1024

/** Whether bytes begin as a gzip file does (RFC 1952, section 2.3.1). */
export function isGzip(start: Uint8Array): boolean {
  return start[0] === 0x1f && start[1] === 0x8b
}

/**
 * Inflates a file as fast as it is taken: the next step is read only when the output of those before it is used up. The
 * browser's own stream is not relied on for that. A caller that stops early ends the reading of the file too.
 *
 * @throws ArchiveError `bad_gzip` after all that could be read; what `chunks` throws
 */
export async function* gunzip(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const steps = inSteps(chunks)
  const { readable, writable } = new DecompressionStream('gzip')
  const [reader, writer] = [readable.getReader(), writable.getWriter()]
  const read = (): Promise<ReadableStreamReadResult<Uint8Array>> => {
    const result = inflated(reader.read())
    // It may fail while a step is read from the file; the next turn of the loop hears of it.
    result.catch(nothing)
    return result
  }
  let output = read()
  let written: Promise<undefined> = Promise.resolve(undefined)
  try {
    for (;;) {
      const result = await Promise.race([output, written])
      if (result === undefined) {
        const { done, value } = await steps.next()
        // The reader hears of damage. After the end nothing is written any more: only the output counts.
        if (done === true) {
          writer.close().catch(() => {})
          written = new Promise(() => {})
        } else written = writer.write(Uint8Array.from(value)).then(nothing, nothing)
      } else if (result.done) return
      else {
        yield result.value
        output = read()
      }
    }
  } finally {
    reader.cancel().catch(() => {})
    await steps.return(undefined)
  }
}

const nothing = (): undefined => undefined

async function inflated<T>(output: Promise<T>): Promise<T> {
  try {
    return await output
  } catch {
    throw new ArchiveError(
      'bad_gzip',
      'The compressed data is damaged or cut short. Get the archive again, or export it again.',
    )
  }
}

async function* inSteps(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, undefined> {
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += STEP_BYTES) yield chunk.subarray(at, at + STEP_BYTES)
  }
}
