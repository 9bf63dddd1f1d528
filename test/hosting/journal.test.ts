import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openJournal } from '../../src/hosting/journal.ts'
import type { HostingChange } from '../../src/hosting/register.ts'
import type { Avatar } from '../../src/record/types.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'avatar-kv-hosting-'))
})
afterAll(() => rm(folder, { recursive: true }))

const avatar = (n: number): Avatar => `0x02${n.toString(16).padStart(64, '0')}`
const add = (n: number): HostingChange => ({ op: 'add', avatar: avatar(n), at: n })

async function read(path: string): Promise<HostingChange[]> {
  const changes: HostingChange[] = []
  const journal = await openJournal(path, (change) => changes.push(change))
  await journal.close()
  return changes
}

/** A journal of three sets: one change, two, one. */
async function written(name: string): Promise<{ path: string; bytes: Buffer }> {
  const path = join(folder, name)
  const journal = await openJournal(path, () => undefined)
  for (const set of [[add(1)], [add(2), add(3)], [], [add(4)]]) await journal.append(set)
  expect(journal.lines).toBe(3)
  await journal.close()
  return { path, bytes: await readFile(path) }
}

test('what was appended is there again, for its owner alone to read', async () => {
  const { path } = await written('plain')
  expect(await read(path)).toEqual([add(1), add(2), add(3), add(4)])
  expect((await stat(path)).mode & 0o777).toBe(0o600)
})

test('cut short at any byte it has the sets that are whole, and can be written on', async () => {
  const { bytes } = await written('whole')
  const ends = [...bytes.keys()].filter((at) => bytes[at] === 0x0a)
  const sets = [[add(1)], [add(2), add(3)], [add(4)]]
  for (let length = 0; length <= bytes.length; length += 1) {
    const path = join(folder, 'cut')
    await writeFile(path, bytes.subarray(0, length))
    const whole = ends.filter((end) => end < length).length
    const journal = await openJournal(path, () => undefined)
    await journal.append([add(9)])
    await journal.close()
    const expected = sets.slice(0, Math.max(0, whole - 1)).flat()
    expect([length, await read(path)]).toEqual([length, [...expected, add(9)]])
  }
})

test('damaged before its last line it is refused, and left as it is', async () => {
  const { path, bytes } = await written('damaged')
  const last = bytes.lastIndexOf(0x0a, bytes.length - 2)
  for (let at = 0; at < last; at += 7) {
    const broken = Buffer.from(bytes)
    broken[at] = (broken[at] ?? 0) ^ 1
    await writeFile(path, broken)
    await expect(read(path)).rejects.toMatchObject({ name: 'HostingError', code: 'unreadable' })
    expect(await readFile(path)).toEqual(broken)
  }
})

test('a byte order mark changes nothing, another encoding is named', async () => {
  const { path, bytes } = await written('edited')
  await writeFile(path, Buffer.concat([Buffer.from('\ufeff'), bytes]))
  const journal = await openJournal(path, () => undefined)
  await journal.append([add(9)])
  await journal.close()
  expect(await read(path)).toEqual([add(1), add(2), add(3), add(4), add(9)])

  const utf16 = Buffer.from(`\ufeff${bytes.toString()}`, 'utf16le')
  await writeFile(path, utf16)
  await expect(read(path)).rejects.toThrow(/edited: it is UTF-16 text\. Save it as UTF-8\.$/)
  expect(await readFile(path)).toEqual(utf16)
})

test('a file of something else is refused', async () => {
  const path = join(folder, 'strange')
  await writeFile(path, '{"hello":"world"}\n')
  await expect(read(path)).rejects.toMatchObject({ code: 'unreadable' })
  await expect(read(join(folder, 'no', 'such', 'folder'))).rejects.toMatchObject({ code: 'unreadable' })
})

test('written anew it has what it was given, and what came after', async () => {
  const { path } = await written('anew')
  const journal = await openJournal(path, () => undefined)
  const many = Array.from({ length: 1_000 }, (_, n) => add(n))
  await journal.rewrite(many)
  await journal.append([add(5_000)])
  await journal.close()
  expect(await read(path)).toEqual([...many, add(5_000)])
  expect((await readdir(folder)).filter((name) => name.startsWith('anew'))).toEqual(['anew'])
})

test('what a rewrite was killed in is not looked at', async () => {
  const { path } = await written('killed')
  await writeFile(`${path}.new`, 'half')
  expect(await read(path)).toEqual([add(1), add(2), add(3), add(4)])
  expect((await readdir(folder)).filter((name) => name.startsWith('killed'))).toEqual(['killed'])
})
