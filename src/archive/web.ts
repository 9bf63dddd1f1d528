/** What archives need of a browser: its streams, and a SHA-256 that takes pieces and runs on insecure origins too. */
import { sha256 } from '@noble/hashes/sha2.js'
import { ArchiveError } from './errors.ts'
import type { ArchivePlatform } from './types.ts'

/** A browser inflates a chunk as a whole, up to 1,032 times its size: so at most 16 MiB wait at once. */
const STEP_BYTES = 16 * 1024

export const webPlatform: ArchivePlatform = {
  hasher: () => sha256.create(),
  sha256,
  randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
  gunzip,
}

/** Compresses chunks. */
export function gzip(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  return through(chunks, new CompressionStream('gzip'), (error) => error)
}

function gunzip(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  return through(chunks, new DecompressionStream('gzip'), damaged)
}

function damaged(): ArchiveError {
  const message = 'The compressed data is damaged or cut short. Get the archive again, or export it again.'
  return new ArchiveError('bad_gzip', message)
}

/**
 * Passes chunks through a stream of the browser, no faster than the result is read: the next step is taken from `chunks` only
 * when the output of those before it is used up. The browser's own back-pressure is not relied on for that.
 *
 * @param failed what to throw for an error of the stream
 */
async function* through(
  chunks: AsyncIterable<Uint8Array>,
  { readable, writable }: CompressionStream | DecompressionStream,
  failed: (error: unknown) => unknown,
): AsyncGenerator<Uint8Array, void, undefined> {
  const steps = inSteps(chunks)
  const [reader, writer] = [readable.getReader(), writable.getWriter()]
  const read = async (): Promise<ReadableStreamReadResult<Uint8Array>> => {
    try {
      return await reader.read()
    } catch (error) {
      throw failed(error)
    }
  }
  const next = (): ReturnType<typeof read> => {
    const result = read()
    // It may fail while a step is taken from the chunks; the next turn of the loop hears of it.
    result.catch(nothing)
    return result
  }
  let output = next()
  let written: Promise<undefined> = Promise.resolve(undefined)
  try {
    for (;;) {
      const result = await Promise.race([output, written])
      if (result === undefined) {
        const { done, value } = await steps.next()
        // The reader hears of damage. After the end nothing is written any more: only the output counts.
        if (done === true) {
          writer.close().catch(nothing)
          written = new Promise(nothing)
        } else written = writer.write(Uint8Array.from(value)).then(nothing, nothing)
      } else if (result.done) return
      else {
        yield result.value
        output = next()
      }
    }
  } finally {
    reader.cancel().catch(nothing)
    await steps.return()
  }
}

const nothing = (): undefined => undefined

async function* inSteps(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += STEP_BYTES) yield chunk.subarray(at, at + STEP_BYTES)
  }
}
