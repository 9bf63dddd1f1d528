import { randomBytes } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { ArchiveError } from '../../src/archive/errors.ts'
import { gunzip } from '../../src/explorer/platform/gzip.ts'

const CHUNK_BYTES = 64 * 1024

interface Source {
  readonly chunks: AsyncGenerator<Uint8Array>
  readonly read: () => number
  readonly isClosed: () => boolean
}

/** A file in chunks, and how much of it was asked for. */
function sourceOf(bytes: Uint8Array): Source {
  let read = 0
  let isClosed = false
  async function* chunks(): AsyncGenerator<Uint8Array> {
    try {
      for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
        const chunk = bytes.subarray(at, at + CHUNK_BYTES)
        read += chunk.length
        yield chunk
      }
    } finally {
      isClosed = true
    }
  }
  return { chunks: chunks(), read: () => read, isClosed: () => isClosed }
}

/** Time for everything that would run ahead of the reader. */
async function letRun(): Promise<void> {
  for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setTimeout(resolve, 1))
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const each of stream) all.push(each)
  return Buffer.concat(all)
}

describe('a compressed file in the page', () => {
  it('is read to its end', async () => {
    const plain = randomBytes(3 * 1024 * 1024)
    const source = sourceOf(gzipSync(plain))
    expect((await collect(gunzip(source.chunks))).equals(plain)).toBe(true)
    expect(source.isClosed()).toBe(true)
  })

  it('is read no faster than it is taken: a reader that pauses holds a few chunks, not the file', async () => {
    const source = sourceOf(gzipSync(randomBytes(16 * 1024 * 1024), { level: 1 }))
    const stream = gunzip(source.chunks)
    await stream.next()
    await letRun()
    expect(source.read()).toBeLessThanOrEqual(8 * CHUNK_BYTES)
    await stream.return(undefined)
    expect(source.isClosed()).toBe(true)
    const before = source.read()
    await letRun()
    expect(source.read()).toBe(before)
  })

  it('that is damaged or cut is told apart from one whose reading fails', async () => {
    const whole = gzipSync(randomBytes(300_000))
    await expect(collect(gunzip(sourceOf(whole.subarray(0, -100)).chunks))).rejects.toBeInstanceOf(ArchiveError)
    const flipped = Buffer.from(whole)
    flipped[20_000]! ^= 0x55
    await expect(collect(gunzip(sourceOf(flipped).chunks))).rejects.toBeInstanceOf(ArchiveError)
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield whole.subarray(0, 1_000)
      throw new DOMException('The file is gone.', 'NotFoundError')
    }
    await expect(collect(gunzip(failing()))).rejects.toMatchObject({ name: 'NotFoundError' })
  })
})
