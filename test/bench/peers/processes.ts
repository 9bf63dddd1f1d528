import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monotonicUs } from '../profile.ts'
import type { Job, Report } from './jobs.ts'

/** Far more than any job takes, on a busy machine too. */
const TIMEOUT_MS = 300_000

/** What a second process took to follow a first one. Seconds, NaN where it was not measured. */
export interface Followed {
  /** From the start of its process, and from where it is up, until it has what the first had. */
  readonly coldFromStart: number
  readonly coldFromUp: number
  /** From the first of the writes that followed until it has the last. */
  readonly live: number
}

type JobOf = Omit<Job, 'folder'>
type Said<Is extends Report['is']> = Extract<Report, { readonly is: Is }>

interface Child {
  /** Resolves to the first report of that kind, past or future. */
  said<Is extends Report['is']>(is: Is, matches?: (report: Said<Is>) => boolean): Promise<Said<Is>>
  send(message: number): void
}

/** Writes in a process of its own. */
export async function written(job: JobOf): Promise<Said<'written'>> {
  return await withChildren(async (start) => await (await start(job)).said('written'))
}

/** Lets one process fetch all from another, then follow `live` more values as they are written. */
export async function followed(job: JobOf, live: number): Promise<Followed> {
  return await withChildren(async (start) => {
    const source = await start({ ...job, role: 'source' })
    const { address } = await source.said('serving')
    const began = monotonicUs()
    const sink = await start({ ...job, role: 'sink', address, milestones: [job.total, job.total + live] })
    const up = await sink.said('up')
    const cold = await sink.said('held', ({ count }) => count === job.total)
    const times = { coldFromStart: (cold.at - began) / 1e6, coldFromUp: (cold.at - up.at) / 1e6 }
    if (live === 0) return { ...times, live: Number.NaN }
    source.send(live)
    const first = await source.said('started')
    const last = await sink.said('held', ({ count }) => count === job.total + live)
    return { ...times, live: (last.at - first.at) / 1e6 }
  })
}

/**
 * Runs children in folders of their own, and kills them and removes the folders at the end.
 *
 * @throws Error as soon as one of them fails or ends, or after a long time
 */
async function withChildren<Result>(run: (start: (job: JobOf) => Promise<Child>) => Promise<Result>): Promise<Result> {
  const root = await mkdtemp(join(tmpdir(), 'avatar-kv-peers-'))
  const children: ChildProcess[] = []
  const failure = new AbortController()
  const timer = setTimeout(() => failure.abort(new Error(`Not done within ${TIMEOUT_MS / 1000} s.`)), TIMEOUT_MS)
  try {
    return await run(async (job) => {
      const folder = await mkdtemp(join(root, `${job.role}-`))
      const argument = JSON.stringify({ ...job, folder } satisfies Job)
      // Peers write notes of their own to standard output, and files into the current folder.
      const child = fork(new URL('./child.js', import.meta.url), [argument], {
        cwd: folder,
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      })
      children.push(child)
      return listen(child, `${job.system}, ${job.role}`, failure)
    })
  } catch (error) {
    throw failure.signal.aborted ? failure.signal.reason : error
  } finally {
    clearTimeout(timer)
    for (const child of children) child.kill('SIGKILL')
    await rm(root, { recursive: true, force: true, maxRetries: 5 })
  }
}

function listen(child: ChildProcess, name: string, failure: AbortController): Child {
  const reports: Report[] = []
  child.on('message', (report: Report) => {
    reports.push(report)
    if (report.is === 'failed') failure.abort(new Error(`${name}: ${report.why}`))
  })
  child.once('exit', (code, signal) => failure.abort(new Error(`${name}: the process ended with ${code ?? signal}.`)))
  return {
    async said<Is extends Report['is']>(is: Is, matches: (report: Said<Is>) => boolean = () => true) {
      for (;;) {
        const found = reports.find((report): report is Said<Is> => report.is === is && matches(report as Said<Is>))
        if (found !== undefined) return found
        await once(child, 'message', { signal: failure.signal })
      }
    },
    send: (message) => void child.send(message),
  }
}
