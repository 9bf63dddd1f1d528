import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { BackupError } from '../../src/backup/errors.ts'
import { decodeFrames, encodeFrames } from '../../src/backup/frames.ts'
import type { ReceivedBackup } from '../../src/backup/frames.ts'
import { propertyRuns } from '../support/runs.ts'

const TOTALS = { avatars: 2, records: 5, live: 4, state: 'ab'.repeat(32) }
const FACTS = { epoch: '0123456789abcdef', network: 'main', version: '1.2.3', created_at: 1_790_000_000 }

async function* each(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks
}

async function encoded(chunks: readonly Uint8Array[]): Promise<Buffer> {
  const parts: Uint8Array[] = []
  const source = { chunks: each(chunks), totals: () => TOTALS }
  for await (const part of encodeFrames(source, FACTS)) parts.push(part)
  return Buffer.concat(parts)
}

async function read({ chunks }: ReceivedBackup): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(Buffer.from(chunk))
  return Buffer.concat(parts)
}

/** The bytes in pieces of the given sizes, round and round. */
function cut(bytes: Buffer, sizes: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = []
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1
    pieces.push(bytes.subarray(at, at + size))
    at += size
  }
  return pieces
}

describe('a backup on its way', () => {
  it('comes out as it went in, however it is cut', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 1, maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 200 })), sizes, async (chunks, pieces) => {
        const received = decodeFrames(each(cut(await encoded(chunks), pieces)))
        expect(await read(received)).toEqual(Buffer.concat(chunks))
        expect(received.end()).toEqual({ ...TOTALS, ...FACTS })
      }),
      { numRuns: propertyRuns(200) },
    )
  })

  it('has no end before it was read', () => {
    expect(() => decodeFrames(each([])).end()).toThrow('not been read')
  })

  it('divides chunks that are large', async () => {
    const large = Buffer.alloc(3_000_001, 7)
    expect((await read(decodeFrames(each([await encoded([large])])))).equals(large)).toBe(true)
  })

  it('is known to be cut short, wherever that is', async () => {
    const bytes = await encoded([Buffer.from('some bytes'), Buffer.from('more of them')])
    for (let length = 0; length < bytes.length; length++) {
      await expect(read(decodeFrames(each([bytes.subarray(0, length)])))).rejects.toThrow(BackupError)
    }
  })

  it.each([
    ['an answer of something else', Buffer.from('<!doctype html><title>Not found</title>')],
    ['a frame of 4 GB', Buffer.from([0xff, 0xff, 0xff, 0xff, 1, 2, 3])],
    ['an end without bounds', Buffer.concat([Buffer.alloc(4), Buffer.alloc(100_000, 0x20)])],
    ['an end without totals', Buffer.concat([Buffer.alloc(4), Buffer.from(JSON.stringify(FACTS))])],
    ['an end without facts', Buffer.concat([Buffer.alloc(4), Buffer.from(JSON.stringify(TOTALS))])],
    ['an end of null', Buffer.concat([Buffer.alloc(4), Buffer.from('null')])],
  ])('is not %s', async (_, bytes) => {
    await expect(read(decodeFrames(each([bytes])))).rejects.toThrow(BackupError)
  })
})
