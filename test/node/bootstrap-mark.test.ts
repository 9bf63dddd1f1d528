import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { fileMark } from '../../src/node/bootstrap-mark.ts'

let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'avatar-kv-mark-'))
})
afterAll(() => rmSync(directory, { recursive: true }))

const bound = (timestamp: number) => ({ timestamp, id: new Uint8Array(32).fill(timestamp & 0xff) })

describe('the mark of a bootstrap', () => {
  it('is there after a restart, until it is taken away', async () => {
    const path = join(directory, 'kept.json')
    expect(await fileMark(path).read()).toBe(null)
    await fileMark(path).write(bound(1_790_000_000))
    expect(await fileMark(path).read()).toEqual(bound(1_790_000_000))
    await fileMark(path).write({ timestamp: 0, id: new Uint8Array(0) })
    expect(await fileMark(path).read()).toEqual({ timestamp: 0, id: new Uint8Array(0) })
    const mark = fileMark(path)
    await mark.write(null)
    await mark.write(null)
    expect(await fileMark(path).read()).toBe(null)
    expect(readdirSync(directory)).toEqual([])
  })

  it('written many times without waiting is the last one', async () => {
    const mark = fileMark(join(directory, 'many.json'))
    for (let at = 1; at <= 50; at += 1) void mark.write(bound(at))
    expect(await mark.read()).toEqual(bound(50))
    await mark.write(null)
    expect(await mark.read()).toBe(null)
  })

  it.each([
    '',
    '{',
    'null',
    '[]',
    '{"created_at":-1,"id":""}',
    '{"created_at":1.5,"id":""}',
    '{"created_at":1,"id":"0"}',
    `{"created_at":1,"id":"${'00'.repeat(33)}"}`,
  ])('that is broken (%s) is none', async (text) => {
    const path = join(directory, 'broken.json')
    writeFileSync(path, text)
    expect(await fileMark(path).read()).toBe(null)
    await fileMark(path).write(bound(3))
    expect(await fileMark(path).read()).toEqual(bound(3))
    rmSync(path)
  })

  it('that cannot be written disturbs nobody', async () => {
    const mark = fileMark(join(directory, 'no', 'such', 'folder', 'mark.json'))
    await mark.write(bound(3))
    expect(await mark.read()).toBe(null)
  })
})
