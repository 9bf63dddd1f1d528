import { nobleEngine, type EngineName, type SignatureEngine, type SignatureJob } from '../../record/engine.ts'
import { packJobs } from './messages.ts'

/**
 * Signatures in one message, and the most for which no worker is started: JavaScript verifies them in about 160 ms, in which a
 * worker would only have loaded.
 */
const CHUNK = 64

export interface VerifyWorker {
  /** The engine of the worker, once it is loaded. Rejects if the worker does not start. */
  readonly ready: Promise<EngineName>
  /** @param packed jobs; the bytes move to the worker. @returns a verdict for each, 1 or 0. Rejects if the worker fails */
  verify(packed: Uint8Array<ArrayBuffer>): Promise<Uint8Array>
  stop(): void
}

/** Workers hold 16 MiB each. An archive is verified in many calls, one soon after the other. */
const IDLE_MS = 10_000

/**
 * The engine of the page. Many signatures go to workers, which are loaded only then; the page verifies in JavaScript until one of
 * them is ready, and where none runs.
 *
 * @param start starts the workers
 */
export function createPageEngine(start: () => readonly VerifyWorker[]): SignatureEngine {
  let workers: readonly VerifyWorker[] = []
  let calls = 0
  let idle: ReturnType<typeof setTimeout> | undefined

  function stop(): void {
    for (const worker of workers) worker.stop()
    workers = []
  }

  return {
    ...nobleEngine,
    async verifyMany(jobs, onStep) {
      clearTimeout(idle)
      calls += 1
      if (workers.length === 0 && jobs.length > CHUNK) workers = start()
      try {
        return await verifyMany(workers, jobs, onStep)
      } finally {
        calls -= 1
        if (calls === 0) idle = setTimeout(stop, IDLE_MS)
      }
    },
  }
}

interface Chunk {
  readonly start: number
  readonly jobs: readonly SignatureJob[]
}

async function verifyMany(
  workers: readonly VerifyWorker[],
  jobs: readonly SignatureJob[],
  onStep: (done: number) => Promise<void>,
): Promise<boolean[]> {
  const startTime = performance.now()
  const verdicts: boolean[] = []
  const helping: Promise<void>[] = []
  const engines = new Set<EngineName>()
  let done = 0
  /** The first job that nobody has taken. */
  let next = 0
  /** What a worker that failed had taken. */
  const returned: Chunk[] = []

  function takeChunk(most: number): Chunk | undefined {
    if (returned.length > 0 || next === jobs.length) return returned.pop()
    const start = next
    next = Math.min(jobs.length, start + most)
    return { start, jobs: jobs.slice(start, next) }
  }

  async function settle(start: number, results: readonly boolean[]): Promise<void> {
    for (const [index, isGood] of results.entries()) verdicts[start + index] = isGood
    done += results.length
    await onStep(done)
  }

  async function help(worker: VerifyWorker): Promise<void> {
    for (let chunk = takeChunk(CHUNK); chunk !== undefined; chunk = takeChunk(CHUNK)) {
      let results: Uint8Array
      try {
        results = await worker.verify(packJobs(chunk.jobs))
      } catch {
        returned.push(chunk)
        return
      }
      const good = chunk.jobs.map((_, index) => results[index] === 1)
      await settle(chunk.start, good)
    }
  }

  async function verifyHere(): Promise<void> {
    while (helping.length === 0) {
      const chunk = takeChunk(1)
      if (chunk === undefined) return
      for (const [index, { signature, digest, publicKey }] of chunk.jobs.entries()) {
        await settle(chunk.start + index, [nobleEngine.verify(signature, digest, publicKey)])
      }
    }
  }

  for (const worker of workers) {
    const start = (engine: EngineName): void => {
      engines.add(engine)
      // Two chunks at once: the worker verifies one while the page packs the other.
      for (const each of [help(worker), help(worker)]) {
        // An error is thrown where the page waits for it.
        each.catch(() => {})
        helping.push(each)
      }
    }
    worker.ready.then(start, () => {})
  }
  while (done < jobs.length) {
    await verifyHere()
    await Promise.all(helping.splice(0))
  }
  // Shown in the timeline of the browser's developer tools.
  performance.measure('verify', { start: startTime, detail: { signatures: done, workers: [...engines] } })
  return verdicts
}
