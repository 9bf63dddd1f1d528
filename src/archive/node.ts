/** What archives need of Node.js. */
import { createHash, hash, randomBytes } from 'node:crypto'
import { pipeline } from 'node:stream'
import { createGunzip, createGzip } from 'node:zlib'
import { yieldToEventLoop } from '../platform/yield.ts'
import { ArchiveError } from './errors.ts'
import type { ArchivePlatform } from './types.ts'

/** zlib's default compromise between size and time. */
const GZIP_LEVEL = 6
const GZIP_BLOCK_BYTES = 65_536

/** Deflate expands at most 1,032 times, so that one step gives less than 17 MB. */
const STEP_BYTES = 16_384

export const nodePlatform: ArchivePlatform = {
  hasher: () => createHash('sha256'),
  sha256: (bytes) => hash('sha256', bytes, 'buffer'),
  randomBytes,
  gunzip,
}

/** Compresses chunks. Where the source fails, so does the result. */
export function gzip(chunks: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const stream = createGzip({ level: GZIP_LEVEL, chunkSize: GZIP_BLOCK_BYTES })
  // The failure reaches the reader of `stream`, too.
  pipeline(chunks, stream, () => undefined)
  return stream
}

/**
 * Decompresses chunks, several gzip members in a row included. It returns what came before damage, up to 64 KiB at the
 * damage itself, which a plain stream would discard.
 */
async function* gunzip(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const stream = createGunzip({ chunkSize: GZIP_BLOCK_BYTES })
  const ready: Uint8Array[] = []
  let failure: Error | undefined
  let wake: (() => void) | undefined
  let ended = false
  stream.on('data', (chunk: Uint8Array) => ready.push(chunk))
  stream.on('error', (error) => {
    failure = error
    wake?.()
  })
  stream.on('end', () => {
    ended = true
    wake?.()
  })
  /** Waits for one step. A step in which the stream fails is never called back. */
  const step = (run: (done: () => void) => void): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve
      run(resolve)
      if (failure !== undefined || ended) resolve()
    })
  let fed = 0
  try {
    for await (const chunk of chunks) {
      for (let at = 0; at < chunk.length && failure === undefined && !ended; at += STEP_BYTES) {
        const piece = chunk.subarray(at, at + STEP_BYTES)
        await step((done) => stream.write(piece, () => done()))
        yield* paced(ready.splice(0))
      }
      fed += chunk.length
      if (failure !== undefined || ended) break
    }
    if (failure === undefined && !ended) await step(() => stream.end())
    yield* paced(ready.splice(0))
    const read = stream.bytesWritten
    if (failure !== undefined) throw damaged((failure as NodeJS.ErrnoException).code === 'Z_BUF_ERROR')
    if (read < fed)
      throw new ArchiveError('bad_gzip', 'There are bytes after the end of the compressed data; cut them off.')
  } finally {
    stream.destroy()
  }
}

/** Yields to the event loop between chunks: one step can give hundreds of them. */
async function* paced(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const [index, chunk] of chunks.entries()) {
    if (index > 0) await yieldToEventLoop()
    yield chunk
  }
}

function damaged(isCut: boolean): ArchiveError {
  const what = isCut ? 'ends too early: the file was cut short' : 'is damaged'
  return new ArchiveError('bad_gzip', `The compressed data ${what}. Get the archive again, or export it again.`)
}
