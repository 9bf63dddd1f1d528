import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { SignatureEngine, SignatureJob } from '../../src/record/engine.ts'
import { recordDigest } from '../../src/record/id.ts'
import { avatarBytes } from '../../src/record/keys.ts'
import { decodePayload } from '../../src/record/payload.ts'
import { createPageEngine, type VerifyWorker } from '../../src/explorer/verify/page-engine.ts'
import { unpackJobs } from '../../src/explorer/verify/messages.ts'
import { forged } from '../ingest/door.ts'
import { Writer } from '../store/writer.ts'
import { allEngines } from '../verify/all-engines.ts'

const [native] = await allEngines()
const jobs: SignatureJob[] = new Writer(3).chain(150).map((record, at) => {
  const { payload, signature } = at % 50 === 7 ? forged(record) : record
  return { signature, digest: recordDigest(payload), publicKey: avatarBytes(decodePayload(payload, 'main').avatar) }
})
const wanted = jobs.map((job) => native.verify(job.signature, job.digest, job.publicKey))

/** Workers on this thread, with the messages of real ones. `test/browser/verify.test.ts` has those. */
class Workers {
  readonly started: { asked: number; stopped: boolean }[] = []
  /** Messages that a worker answers before it fails. */
  answers = Infinity
  ready: () => Promise<'libsecp256k1-wasm'> = () => Promise.resolve('libsecp256k1-wasm')

  readonly start = (): VerifyWorker[] => [this.#one(), this.#one()]

  #one(): VerifyWorker {
    const state = { asked: 0, stopped: false }
    this.started.push(state)
    return {
      ready: this.ready(),
      verify: async (packed) => {
        await Promise.resolve()
        state.asked += 1
        if (state.asked > this.answers) throw new Error('The worker died.')
        return Uint8Array.from(unpackJobs(packed), (job) =>
          Number(native.verify(job.signature, job.digest, job.publicKey)),
        )
      },
      stop: () => void (state.stopped = true),
    }
  }
}

let workers: Workers
let steps: number[]
const onStep = (done: number): Promise<void> => Promise.resolve(void steps.push(done))
const many = async (engine: SignatureEngine, of = jobs): Promise<readonly boolean[] | undefined> =>
  await engine.verifyMany?.(of, onStep)
beforeEach(() => {
  workers = new Workers()
  steps = []
})
afterEach(() => vi.useRealTimers())

describe('many signatures in the page', () => {
  it('are verified by workers, with the same verdicts, and each is counted once', async () => {
    expect(await many(createPageEngine(workers.start))).toEqual(wanted)
    expect(wanted.filter((good) => !good)).toHaveLength(3)
    expect(workers.started.reduce((sum, { asked }) => sum + asked, 0)).toBe(3)
    expect(Math.max(...steps)).toBe(150)
    expect(steps).toEqual(steps.toSorted((a, b) => a - b))
  })

  it.each([
    ['workers die at once', 0],
    ['workers die later', 1],
  ])('are verified where %s', async (_, answers) => {
    workers.answers = answers
    expect(await many(createPageEngine(workers.start))).toEqual(wanted)
    expect(steps.at(-1)).toBe(150)
  })

  it.each([
    ['never start', () => new Promise<never>(() => {})],
    ['cannot start', () => Promise.reject(new Error('no WASM, no worker'))],
  ])('are verified where workers %s', async (_, ready) => {
    workers.ready = ready
    expect(await many(createPageEngine(workers.start))).toEqual(wanted)
    expect(workers.started.map(({ asked }) => asked)).toEqual([0, 0])
  })

  it('are verified where the browser has no workers', async () => {
    expect(await many(createPageEngine(() => []))).toEqual(wanted)
  })

  it('are abandoned when the caller ends the work', async () => {
    const stop = new Error('stop')
    const step = (done: number): Promise<void> => (done < 100 ? Promise.resolve() : Promise.reject(stop))
    await expect(createPageEngine(workers.start).verifyMany?.(jobs, step)).rejects.toBe(stop)
    await expect(createPageEngine(() => []).verifyMany?.(jobs, step)).rejects.toBe(stop)
  })
})

describe('the workers', () => {
  it('are not started for a few signatures', async () => {
    expect(await many(createPageEngine(workers.start), jobs.slice(0, 64))).toEqual(wanted.slice(0, 64))
    expect(workers.started).toEqual([])
  })

  it('serve later calls, and are stopped when they are idle', async () => {
    vi.useFakeTimers()
    const engine = createPageEngine(workers.start)
    await Promise.all([many(engine), many(engine)])
    vi.advanceTimersByTime(9_000)
    await many(engine, jobs.slice(0, 100))
    vi.advanceTimersByTime(9_000)
    expect(workers.started.map(({ stopped }) => stopped)).toEqual([false, false])
    vi.advanceTimersByTime(1_000)
    expect(workers.started.map(({ stopped }) => stopped)).toEqual([true, true])
    await many(engine)
    expect(workers.started).toHaveLength(4)
  })
})
