import { getEventListeners } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { MemoryLevel } from 'memory-level'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { joinSignals } from '../../src/client/deadline.ts'
import { privateKeySigner } from '../../src/client/signers.ts'
import { openReplica, type Replica } from '../../src/replica/index.ts'
import { levelDisk } from '../../src/replica/level-disk.ts'
import { TICK_MS } from '../../src/replica/limits.ts'
import { createReplica } from '../../src/replica/replica.ts'
import { loneTab, type TabMessage, type Tabs } from '../../src/replica/tabs.ts'
import { detectResume } from '../../src/replica/resume-detector.ts'
import { heapBytes } from '../client/heap.ts'
import { newKey } from '../support/keys.ts'
import { Writer } from '../store/writer.ts'
import { give, replicaHarness, type ReplicaHarness } from './harness.ts'

const CALLS = 40_000

let harness: ReplicaHarness
beforeEach(() => void (harness = replicaHarness()))
afterEach(() => harness.close())

describe('a directory', () => {
  let folder: string
  let first: Replica
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'avatar-kv-replica-'))
    first = await openReplica({ location: join(folder, 'data') })
  })
  afterEach(async () => {
    await first.close()
    await rm(folder, { recursive: true })
  })

  it('is one replica’s at a time; the second is told what to do', async () => {
    const location = join(folder, 'data')
    const error: unknown = await openReplica({ location }).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ name: 'ReplicaError', code: 'locked' })
    expect(String(error)).toMatch(/choose another location/)
    await first.close()
    await (await openReplica({ location })).close()
  })

  it('whose file is damaged is an error that says what to do', async () => {
    const location = join(folder, 'damaged')
    const signer = privateKeySigner(newKey())
    const written = await openReplica({ location, avatars: [signer.avatar] })
    await written.put({ signer, patch: { a: 'b'.repeat(9_000) } })
    await written.close()
    // What is in the log goes into a table.
    await (await openReplica({ location })).close()
    for (const name of (await readdir(location)).filter((each) => each.endsWith('.ldb'))) {
      const bytes = await readFile(join(location, name))
      await writeFile(
        join(location, name),
        bytes.map((byte) => byte ^ 0xff),
      )
    }
    await expect(openReplica({ location })).rejects.toMatchObject({
      name: 'ReplicaError',
      code: 'storage',
      message: expect.stringContaining('move the directory away'),
    })
  })

  it('that is being closed takes nothing more, and says so', async () => {
    const signer = privateKeySigner(newKey())
    await first.follow(signer.avatar)
    const outcome = (work: Promise<unknown>) =>
      work.then(
        () => 'done',
        (error: unknown) => (error as { code: string }).code,
      )
    const late = [1, 2, 3, 4].map((n) => outcome(first.put({ signer, patch: { n } })))
    late.push(outcome(first.follow(privateKeySigner(newKey()).avatar)))
    await first.close()
    for (const each of await Promise.all(late)) expect(each).toBeOneOf(['done', 'closed'])
    expect(await outcome(first.import((async function* () {})(), { signal: AbortSignal.abort() }))).toBe('closed')
  })

  it('that is none is an error, and so is no location', async () => {
    await expect(openReplica({ location: '/dev/null/data' })).rejects.toMatchObject({ code: 'storage' })
    await expect(openReplica({})).rejects.toMatchObject({ code: 'usage' })
    // What fails on opening has let go of the directory.
    const location = join(folder, 'other')
    await expect(openReplica({ location, avatars: ['nobody'] })).rejects.toMatchObject({ code: 'usage' })
    await expect(openReplica({ location, nodes: ['nowhere'] })).rejects.toMatchObject({ code: 'usage' })
    await (await openReplica({ location })).close()
  })
})

describe('what makes no sense', () => {
  it('is refused with a reason, and changes nothing', async () => {
    const signer = privateKeySigner(newKey())
    const replica = await harness.open()
    const { avatar } = signer
    expect(replica.get(avatar)).toBeUndefined()
    expect(() => replica.state(avatar)).toThrow(expect.objectContaining({ code: 'not_followed' }))
    expect(() => replica.get('nobody')).toThrow(expect.objectContaining({ name: 'ClientError', code: 'usage' }))
    await expect(replica.put({ signer, patch: {} })).rejects.toMatchObject({ code: 'not_followed' })
    await expect(replica.sync()).rejects.toMatchObject({ code: 'usage' })
    await replica.follow(avatar)
    await expect(replica.put({ signer, patch: { a: Number.NaN } })).rejects.toMatchObject({ code: 'invalid_change' })
    await expect(replica.put({ signer, platform: 'twitter', patch: {} })).rejects.toMatchObject({ code: 'usage' })
    await expect(replica.discard(avatar, `0x${'00'.repeat(32)}`)).rejects.toMatchObject({ code: 'usage' })
    expect(await replica.change({ signer, change: (before) => before })).toMatchObject({ status: 'unchanged' })
    expect(replica.waiting()).toEqual([])
    await replica.close()
    expect(() => replica.get(avatar)).toThrow(expect.objectContaining({ code: 'closed' }))
    await expect(replica.put({ signer, patch: {} })).rejects.toMatchObject({ code: 'closed' })
  })

  it('a signer that signs something else has written nothing', async () => {
    const [signer, other] = [privateKeySigner(newKey()), privateKeySigner(newKey())]
    const replica = await harness.open({ avatars: [signer.avatar] })
    const forger = { avatar: signer.avatar, sign: (text: string) => other.sign(text) }
    await expect(replica.put({ signer: forger, patch: { a: 1 } })).rejects.toMatchObject({ code: 'bad_signature' })
    expect(replica.waiting()).toEqual([])
    expect(replica.get(signer.avatar)).toBeUndefined()
  })
})

it('writes beyond what may wait are refused, and nothing of them is written', async () => {
  const signer = privateKeySigner(newKey())
  const replica = await harness.open({ avatars: [signer.avatar] })
  const text = 'x'.repeat(250_000)
  const large = (pieces: number) =>
    replica.put({ signer, patch: Object.fromEntries(Array.from({ length: pieces }, (_, at) => [`p${at}`, text])) })
  await large(200)
  await expect(large(100)).rejects.toMatchObject({ name: 'ReplicaError', code: 'queue_full' })
  expect(replica.waiting()).toHaveLength(200)
  await replica.put({ signer, patch: { small: 1 } })
  expect(replica.get(signer.avatar)).toMatchObject({ small: 1 })
})

describe('archives', () => {
  async function* chunks(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
    for (const text of texts) yield Buffer.from(text)
  }
  const header = '{"created_at":1,"format":"avatar-kv-archive/2","network":"main"}\n'

  it('that are none, or of another network, are refused', async () => {
    const replica = await harness.open()
    for (const text of ['', 'hello\n', '{}\n', '{"payload":"a","signature":"b"}\n', header.replace('main', 'other')]) {
      await expect(replica.import(chunks(text))).rejects.toMatchObject({ name: 'ReplicaError', code: 'usage' })
    }
    expect(replica.avatars()).toEqual([])
  })

  it('with lines that are no records give what they have, and say what is wrong', async () => {
    const replica = await harness.open()
    const long = `"${'x'.repeat(2_000_000)}"\n`
    const result = await replica.import(chunks(header, '{"payload":"{}","signature":"0x00"}\n[]\n', long, 'half'))
    expect(result).toMatchObject({ records: 1, added: 0, invalid: 1, trailer: 'missing' })
    expect(result.faults.map(({ line, code }) => [line, code])).toEqual([
      [2, 'bad_record'],
      [3, 'bad_line'],
      [4, 'line_too_long'],
      [5, 'unterminated_line'],
      [5, 'bad_line'],
      [5, 'trailer_missing'],
    ])
  })

  it('of avatars that are not followed are passed over, unless they are to be', async () => {
    const writer = new Writer(11)
    const from = await harness.open()
    await give(from, writer.chain(3))
    const bytes: Uint8Array[] = []
    for await (const chunk of from.export({ gzip: true })) bytes.push(chunk)
    async function* archive(): AsyncGenerator<Uint8Array> {
      yield* bytes
    }
    const other = replicaHarness()
    try {
      const replica = await other.open()
      expect(await replica.import(archive())).toMatchObject({ records: 3, skipped: 3, added: 0, trailer: 'good' })
      expect(await replica.import(archive(), { follow: true })).toMatchObject({ added: 3, skipped: 0 })
      expect(await replica.import(archive())).toMatchObject({ added: 0, duplicate: 3 })
      expect(replica.state(writer.avatar)).toEqual(from.state(writer.avatar))
    } finally {
      await other.close()
    }
  })

  it('that are cut short, compressed or not, are taken up to there', async () => {
    const writer = new Writer(12)
    const from = await harness.open()
    await give(from, writer.chain(40))
    const bytes: Uint8Array[] = []
    for await (const chunk of from.export({ gzip: true })) bytes.push(chunk)
    const whole = Buffer.concat(bytes)
    for (const lost of [20, 2_000]) {
      const other = replicaHarness()
      try {
        const replica = await other.open({ avatars: [writer.avatar] })
        const half = chunksOf(whole.subarray(0, -lost))
        await expect(replica.import(half)).rejects.toMatchObject({
          code: 'usage',
          message: expect.stringContaining('was imported'),
        })
        expect(replica.state(writer.avatar).records).toBeGreaterThan(0)
      } finally {
        await other.close()
      }
    }
  })
})

it('tells that the device slept by a jump of the clock, and nothing else', () => {
  vi.useFakeTimers()
  try {
    let woke = 0
    const stop = detectResume({ woke: () => (woke += 1), seen: () => {} })
    vi.advanceTimersByTime(20 * TICK_MS)
    expect(woke).toBe(0)
    vi.setSystemTime(Date.now() + 3_600_000)
    vi.advanceTimersByTime(TICK_MS)
    expect(woke).toBe(1)
    vi.advanceTimersByTime(20 * TICK_MS)
    expect(woke).toBe(1)
    stop()
    vi.setSystemTime(Date.now() + 3_600_000)
    vi.advanceTimersByTime(TICK_MS)
    expect(woke).toBe(1)
  } finally {
    vi.useRealTimers()
  }
})

/** As a network has it: not all at once. */
async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 500) yield bytes.subarray(at, at + 500)
}

it('keeps nothing of what was done in the background', async () => {
  let listener: (message: TabMessage) => void = () => {}
  const tabs: Tabs = { ...loneTab(), listen: (call) => void (listener = call) }
  const replica = await createReplica({ disk: levelDisk(new MemoryLevel<string, string>()), tabs }, {})
  const run = async (count: number): Promise<void> => {
    for (let done = 0; done < count; done += 100) {
      for (let n = 0; n < 100; n += 1) listener({ kind: 'avatars' })
      await setImmediate()
    }
  }
  await run(5_000)
  const before = heapBytes()
  await run(CALLS)
  await setImmediate()
  // Something for each call took 64 bytes.
  expect((heapBytes() - before) / CALLS).toBeLessThan(32)
  await replica.close()
})

it('leaves no listener at a signal that outlives the work', () => {
  const { signal } = new AbortController()
  for (let n = 0; n < 100; n += 1) joinSignals([signal, undefined]).close()
  expect(getEventListeners(signal, 'abort').length).toBeLessThanOrEqual(1)
})
