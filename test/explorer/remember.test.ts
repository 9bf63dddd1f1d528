import { MemoryLevel } from 'memory-level'
import { expect, it, vi } from 'vitest'
import { rememberVerified, type StorageLimits } from '../../src/explorer/verify/remember.ts'
import { nobleEngine, type SignatureEngine, type SignatureJob } from '../../src/record/engine.ts'
import type { Disk } from '../../src/replica/disk.ts'
import { levelDisk } from '../../src/replica/level-disk.ts'

/** Counts what it is asked for; a signature that begins with 0 is bad. */
function countingEngine(): SignatureEngine & { asked: number } {
  const engine = {
    ...nobleEngine,
    asked: 0,
    verifyMany: (jobs: readonly SignatureJob[]) => {
      engine.asked += jobs.length
      return Promise.resolve(jobs.map(({ signature }) => signature[0] !== 0))
    },
  }
  return engine
}

function jobs(avatar: number, count: number): SignatureJob[] {
  const publicKey = new Uint8Array(33).fill(2)
  new DataView(publicKey.buffer).setUint32(1, avatar)
  return Array.from({ length: count }, (_, at) => {
    const digest = new Uint8Array(32)
    new DataView(digest.buffer).setUint32(0, at)
    return { publicKey, digest, signature: new Uint8Array(64).fill(1) }
  })
}

const step = (): Promise<void> => Promise.resolve()

/** One visit: a new engine over the same storage. @returns the verdicts, and how many signatures were verified for them */
async function visit(
  disk: Disk,
  of: readonly SignatureJob[],
  limits?: StorageLimits,
): Promise<{ verdicts: readonly boolean[]; asked: number }> {
  const engine = countingEngine()
  let written = 0
  const watched: Disk = {
    ...disk,
    async batch(operations) {
      await disk.batch(operations)
      written += 1
    },
  }
  const remembering = rememberVerified(engine, () => Promise.resolve(watched), limits)
  const verdicts = (await remembering.verifyMany?.(of, step)) ?? []
  if (of.length >= 64) await vi.waitFor(() => expect(written).toBe(1))
  return { verdicts, asked: engine.asked }
}

const newDisk = (): Disk =>
  levelDisk(new MemoryLevel<string, Uint8Array>({ keyEncoding: 'utf8', valueEncoding: 'view' }))

it('verifies only what is new; a bad signature, or another one of the same record, is verified each time', async () => {
  const disk = newDisk()
  const first = jobs(1, 100)
  const bad = { ...(first[7] as SignatureJob), signature: new Uint8Array(64) }
  const all = first.with(7, bad)
  const wanted = all.map((_, at) => at !== 7)
  expect(await visit(disk, all)).toEqual({ verdicts: wanted, asked: 100 })
  expect(await visit(disk, all)).toEqual({ verdicts: wanted, asked: 1 })
  expect(await visit(disk, jobs(1, 110))).toEqual({ verdicts: Array.from({ length: 110 }, () => true), asked: 11 })
  const other = all.map((job) => ({ ...job, signature: new Uint8Array(64) }))
  expect(await visit(disk, other)).toEqual({ verdicts: other.map(() => false), asked: 100 })
  expect((await visit(disk, jobs(2, 100))).asked).toBe(100)
})

it('stores nothing of a few signatures, nor of those of several avatars together', async () => {
  const disk = newDisk()
  const mixed = [...jobs(1, 32), ...jobs(2, 32)]
  const engine = rememberVerified(countingEngine(), () => Promise.resolve(disk))
  for (const each of [jobs(1, 63), mixed]) expect(await engine.verifyMany?.(each, step)).toHaveLength(each.length)
  for await (const row of disk.rows({ after: '!', before: '~' })) expect(row).toBeUndefined()
})

it('stores so many signatures and avatars at most: those used longest ago go first', async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  try {
    const disk = newDisk()
    const at = async (second: number, of: readonly SignatureJob[]): Promise<number> => {
      vi.setSystemTime(second * 1_000)
      return (await visit(disk, of, { signatures: 1_000, avatars: 5 })).asked
    }
    await at(1, jobs(1, 400))
    await at(2, jobs(2, 400))
    expect(await at(3, jobs(1, 400))).toBe(0)
    await at(4, jobs(3, 400))
    expect(await at(5, jobs(1, 400))).toBe(0)
    expect(await at(6, jobs(2, 400))).toBe(400)
    // Of one avatar alone, the newest.
    await at(7, jobs(4, 1_010))
    expect(await at(8, jobs(4, 1_010))).toBe(10)
    for (let avatar = 10; avatar < 16; avatar++) await at(avatar, jobs(avatar, 64))
    let avatars = 0
    for await (const [key] of disk.rows({ after: 'uses!', before: 'uses!~' }))
      avatars += Number(key.startsWith('uses!'))
    expect(avatars).toBe(5)
  } finally {
    vi.useRealTimers()
  }
})

it.each([
  ['does not open', () => Promise.reject(new Error('This browser denies storage.'))],
  ['breaks', async () => ({ ...newDisk(), get: () => Promise.reject(new Error('closed')) })],
  ['is full', async () => ({ ...newDisk(), batch: () => Promise.reject(new Error('QuotaExceededError')) })],
  ['holds something else', async () => ({ ...newDisk(), get: () => Promise.resolve(new Uint8Array(1_000)) })],
])('verifies everything where the storage %s', async (_, open: () => Promise<Disk>) => {
  const engine = countingEngine()
  const remembering = rememberVerified(engine, open)
  for (let visits = 1; visits <= 2; visits++) {
    expect(await remembering.verifyMany?.(jobs(1, 100), step)).toEqual(Array.from({ length: 100 }, () => true))
    expect(engine.asked).toBe(visits * 100)
  }
})
