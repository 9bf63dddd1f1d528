import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Level } from 'level'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { privateKeySigner } from '../../src/client/signers.ts'
import { openReplica } from '../../src/replica/index.ts'
import type { Replica } from '../../src/replica/types.ts'
import { testKey } from '../oracle/signing.ts'

const signer = privateKeySigner(testKey(3).secretKey)
const MARK = 'avatar-kv-replica.json'

let folder: string
let location: string
const open = (): Promise<Replica> => openReplica({ location, avatars: [signer.avatar] })
const names = async (pattern: RegExp): Promise<string[]> =>
  (await readdir(location)).filter((name) => pattern.test(name)).toSorted()
const dataFiles = (): Promise<string[]> => names(/^(?!LO(?:G|G\.old|CK)$)/)

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'avatar-kv-replica-'))
  location = join(folder, 'data')
  const replica = await open()
  await replica.put({ signer, patch: { unsent: { n: 1 } } })
  await replica.close()
  // Opened once more, LevelDB makes a table of its log.
  await (await open()).close()
})
afterEach(() => rm(folder, { recursive: true }))

describe('a replica that lost files', () => {
  it.each([
    ['CURRENT', /^CURRENT$/],
    ['its manifest', /^MANIFEST-/],
    ['its tables', /\.ldb$/],
    ['all but its tables', /^(?!.*\.ldb$)/],
    ['all files but the mark', /^(?!avatar-kv)/],
  ])('is left as it is, with word of what to do: %s', async (_, lost) => {
    const gone = await names(lost)
    expect(gone.length).toBeGreaterThan(0)
    for (const name of gone) await rm(join(location, name))
    const before = await dataFiles()
    for (const attempt of [1, 2]) {
      const error = await open().catch((each: unknown) => each)
      expect(error, `attempt ${attempt}`).toMatchObject({ name: 'ReplicaError', code: 'storage' })
      expect(String(error)).toMatch(/has lost .*move the directory away.*not sent are lost/s)
    }
    expect(await dataFiles()).toEqual(before)
  })

  it('is no new one where LevelDB opens, but with nothing in it', async () => {
    const db = new Level(location)
    await db.clear()
    await db.close()
    await expect(open()).rejects.toMatchObject({ code: 'storage' })
  })

  it('a creation that was interrupted before its first row begins again', async () => {
    await rm(location, { recursive: true })
    const db = new Level(location)
    await db.open()
    await db.close()
    const replica = await open()
    await replica.put({ signer, patch: { unsent: { n: 2 } } })
    await replica.close()
    expect(await names(/^avatar-kv/)).toEqual([MARK])
  })

  it('put back, it has its unsent write', async () => {
    const current = join(location, 'CURRENT')
    const content = await readFile(current)
    await rm(current)
    await expect(open()).rejects.toMatchObject({ code: 'storage' })
    await writeFile(current, content)
    const replica = await open()
    expect(replica.info(signer.avatar).waiting).toBe(1)
    await replica.close()
  })

  it('moved away, a new one begins; one of an earlier version gets its mark', async () => {
    await rm(join(location, MARK))
    const older = await open()
    expect(older.info(signer.avatar).waiting).toBe(1)
    await older.close()
    expect(await names(/^avatar-kv/)).toEqual([MARK])
    await rm(location, { recursive: true })
    const replica = await open()
    expect(replica.info(signer.avatar).waiting).toBe(0)
    await replica.close()
  })
})
