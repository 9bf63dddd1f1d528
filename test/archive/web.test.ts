import { randomBytes } from 'node:crypto'
import { gunzipSync, gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { checkArchive, type Verifier } from '../../src/archive/check.ts'
import { nodePlatform } from '../../src/archive/node.ts'
import { nobleEngine } from '../../src/record/engine.ts'
import { RecordError } from '../../src/record/errors.ts'
import { verifyRecord } from '../../src/record/verify.ts'
import { Writer } from '../store/writer.ts'
import { archiveOf, chunksOf } from './archives.ts'
import { ArchiveError } from '../../src/archive/errors.ts'
import { gzip, webPlatform } from '../../src/archive/web.ts'

const verifier: Verifier = {
  verify: (records, options) =>
    Promise.resolve(
      records.map((record) => {
        try {
          return verifyRecord(nobleEngine, 'main', record, options)
        } catch (error) {
          if (error instanceof RecordError) return error
          throw error
        }
      }),
    ),
}

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
    expect((await collect(webPlatform.gunzip(source.chunks))).equals(plain)).toBe(true)
    expect(source.isClosed()).toBe(true)
  })

  it('is read no faster than it is taken: a reader that pauses holds a few chunks, not the file', async () => {
    const source = sourceOf(gzipSync(randomBytes(16 * 1024 * 1024), { level: 1 }))
    const stream = webPlatform.gunzip(source.chunks)
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
    await expect(collect(webPlatform.gunzip(sourceOf(whole.subarray(0, -100)).chunks))).rejects.toBeInstanceOf(
      ArchiveError,
    )
    const flipped = Buffer.from(whole)
    flipped[20_000]! ^= 0x55
    await expect(collect(webPlatform.gunzip(sourceOf(flipped).chunks))).rejects.toBeInstanceOf(ArchiveError)
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield whole.subarray(0, 1_000)
      throw new DOMException('The file is gone.', 'NotFoundError')
    }
    await expect(collect(webPlatform.gunzip(failing()))).rejects.toMatchObject({ name: 'NotFoundError' })
  })
})

describe('compressing in the page', () => {
  it('gives what Node.js decompresses, no faster than it is taken', async () => {
    const plain = randomBytes(16 * 1024 * 1024)
    const source = sourceOf(plain)
    const stream = gzip(source.chunks)
    const { value } = await stream.next()
    await letRun()
    expect(source.read()).toBeLessThanOrEqual(8 * CHUNK_BYTES)
    const rest = await collect(stream)
    expect(gunzipSync(Buffer.concat([value as Uint8Array, rest])).equals(plain)).toBe(true)
    expect(source.isClosed()).toBe(true)
  })

  it('fails where the source does', async () => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield randomBytes(100_000)
      throw new DOMException('The file is gone.', 'NotFoundError')
    }
    await expect(collect(gzip(failing()))).rejects.toMatchObject({ name: 'NotFoundError' })
  })
})

describe('a page and a node', () => {
  const writer = new Writer(3)
  const records = [...writer.chain(30), ...new Writer(4).chain(3)]

  it.each([
    ['a sound archive', (text: string) => text],
    ['a header with a byte order mark, and CR LF', (text: string) => `\ufeff${text.replaceAll('\n', '\r\n')}`],
    ['bytes that are not UTF-8', (text: string) => text.replace('k1', '\ud800')],
    ['a changed record', (text: string) => text.replace('"k1', '"k2')],
    ['lines in another order', (text: string) => text.split('\n').toSorted().join('\n')],
    ['a cut end', (text: string) => text.slice(0, -500)],
    ['no archive', () => 'hello'],
  ])('say the same of %s', async (_, change) => {
    const bytes = Buffer.from(change((await archiveOf(records)).toString()))
    const verifierFor = (): Verifier => verifier
    const inNode = await checkArchive(nodePlatform, { chunks: chunksOf(bytes, 1_000), verifierFor })
    const inPage = await checkArchive(webPlatform, { chunks: chunksOf(bytes, 1_000), verifierFor })
    expect(inPage).toEqual(inNode)
    const compressed = await checkArchive(webPlatform, { chunks: gzip(chunksOf(bytes, 1_000)), verifierFor })
    expect(compressed).toEqual({ ...inNode, compressed: true })
  })
})
