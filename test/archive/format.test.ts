import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'

import { archiveName, MAX_LINE_BYTES, recordLine } from '../../src/archive/format.ts'
import { gzip, nodePlatform } from '../../src/archive/node.ts'
import { writeArchive } from '../../src/archive/writer.ts'
import { MAX_PAYLOAD_BYTES } from '../../src/record/limits.ts'
import { Writer } from '../store/writer.ts'
import { archiveOf, chunksOf, collect, CREATED_AT, readAll, sourceOf } from './archives.ts'

const alice = new Writer(1)
const bob = new Writer(2)
const [first, second] = alice.chain(2)
const other = bob.patch([], { "it's": '"quoted" \\ \u2028 \u{1f600}' })
const records = [second!, other, first!]

describe('an archive as it is written', () => {
  it('is what the protocol page says, byte for byte', async () => {
    const avatars = [alice.avatar, bob.avatar].sort()
    const inOrder = alice.avatar < bob.avatar ? [first!, second!, other] : [other, first!, second!]
    const header = `{"avatars":["${avatars[0]}","${avatars[1]}"],"created_at":${CREATED_AT},"format":"avatar-kv-archive/2","network":"main"}\n`
    const lines = inOrder.map(({ payload, signature }) => {
      const text = JSON.stringify(new TextDecoder().decode(payload))
      return `{"payload":${text},"signature":"0x${Buffer.from(signature).toString('hex')}"}\n`
    })
    const before = header + lines.join('')
    const digest = createHash('sha256').update(before).digest('hex')
    const bytes = await archiveOf(records, { avatars: [bob.avatar, alice.avatar, bob.avatar] })
    expect(bytes.toString('utf8')).toBe(`${before}{"digest":"sha256:${digest}","records":3}\n`)
  })

  it('does not name avatars where it has all', async () => {
    const [header] = (await archiveOf(records)).toString('utf8').split('\n')
    expect(header).toBe(`{"created_at":${CREATED_AT},"format":"avatar-kv-archive/2","network":"main"}`)
  })

  it('has no trailer where its source fails', async () => {
    const source = sourceOf(records)
    const broken = {
      ...source,
      async *records() {
        yield first!
        throw new Error('the disk is gone')
      },
    }
    const written: Uint8Array[] = []
    const writing = (async () => {
      for await (const chunk of writeArchive(nodePlatform, broken, { network: 'main', createdAt: 0, history: false }))
        written.push(chunk)
    })()
    await expect(writing).rejects.toThrow('the disk is gone')
    expect(Buffer.concat(written).toString()).not.toContain('digest')
  })

  it('has room in a line for the greatest payload, every byte of it escaped', () => {
    const record = { payload: Buffer.alloc(MAX_PAYLOAD_BYTES, '"'), signature: new Uint8Array(65) }
    expect(Buffer.byteLength(recordLine(record))).toBeLessThan(MAX_LINE_BYTES)
  })

  it('is read as it was written, in chunks of any size, compressed and not', async () => {
    const bytes = await archiveOf(records)
    const compressed = Buffer.concat(await collect(gzip(chunksOf(bytes))))
    for (const [form, size] of [
      [bytes, 1],
      [bytes, 7],
      [bytes, 1 << 20],
      [compressed, 1],
      [compressed, 1 << 20],
      [gzipSync(bytes), 11],
    ] as const) {
      const { end, faults, records: found, headers } = await readAll(form, { size })
      expect(faults).toEqual([])
      expect(headers).toEqual([{ created_at: CREATED_AT, network: 'main' }])
      expect(found.map(({ line }) => line)).toEqual([2, 3, 4])
      expect(new Set(found.map(({ record }) => Buffer.from(record.payload).toString()))).toEqual(
        new Set(records.map(({ payload }) => Buffer.from(payload).toString())),
      )
      expect(end).toMatchObject({ records: 3, bytes: bytes.length, trailer: 'good', compressed: form !== bytes })
    }
  })

  it.each([
    [{ created_at: CREATED_AT, network: 'main' }, false, 'main-all-20260921T141320Z.avatar-kv.ndjson'],
    [
      { created_at: CREATED_AT, network: 'main', avatars: [alice.avatar] },
      true,
      `main-${alice.avatar.slice(2, 14)}-20260921T141320Z.avatar-kv.ndjson.gz`,
    ],
    [
      { created_at: CREATED_AT, network: 'n', avatars: [alice.avatar, bob.avatar] },
      false,
      `n-${alice.avatar.slice(2, 14)}-and-1-20260921T141320Z.avatar-kv.ndjson`,
    ],
  ])('%#: has a safe file name', (header, isGzip, name) => {
    expect(archiveName(header, isGzip)).toBe(name)
    expect(name).toMatch(/^[a-zA-Z0-9.-]+$/)
  })
})

describe('compression', () => {
  it('reads several members in a row', async () => {
    const parts = [gzipSync('one '), gzipSync('two '), gzipSync('three')]
    expect(Buffer.concat(await collect(nodePlatform.gunzip(chunksOf(Buffer.concat(parts), 3)))).toString()).toBe(
      'one two three',
    )
  })

  it('keeps what comes before a fault', async () => {
    const text = Buffer.from(Array.from({ length: 60_000 }, (_, index) => `${index * 7919} `).join(''))
    const whole = gzipSync(text)
    const cut = whole.subarray(0, whole.length - 2_000)
    const flipped = Buffer.from(whole)
    flipped[flipped.length - 5]! ^= 1
    for (const [damaged, message] of [
      [cut, 'cut short'],
      [flipped, 'damaged'],
      [Buffer.concat([whole, Buffer.from('and more')]), 'damaged'],
      [Buffer.concat([whole, Buffer.alloc(10), Buffer.from('hidden')]), 'after the end'],
    ] as const) {
      const got: Uint8Array[] = []
      const reading = (async () => {
        for await (const chunk of nodePlatform.gunzip(chunksOf(damaged))) got.push(chunk)
      })()
      await expect(reading).rejects.toMatchObject({ name: 'ArchiveError', code: 'bad_gzip' })
      await expect(reading).rejects.toThrow(message)
      const kept = Buffer.concat(got)
      expect(kept.length).toBeGreaterThan(text.length - 80_000)
      expect(text.subarray(0, kept.length).equals(kept)).toBe(true)
    }
  })

  it('takes no more memory than a step gives, whatever the ratio', async () => {
    const bomb = gzipSync(Buffer.alloc(200_000_000))
    let bytes = 0
    let greatest = 0
    for await (const chunk of nodePlatform.gunzip(chunksOf(bomb, bomb.length))) {
      bytes += chunk.length
      greatest = Math.max(greatest, chunk.length)
    }
    expect(bytes).toBe(200_000_000)
    expect(greatest).toBeLessThanOrEqual(65_536)
  })
})
