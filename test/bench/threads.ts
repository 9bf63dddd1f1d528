import { readdirSync, readFileSync } from 'node:fs'
import { MAX_DEFAULT_WORKERS } from '../../src/verify/verify-service.ts'

/** CPU µs that each kind of thread of a process has used. */
export interface ThreadCpu {
  readonly main: number
  /** Worker threads of Node.js: the verification of signatures. */
  readonly verification: number
  /** LevelDB's background thread: compaction. */
  readonly leveldb: number
  /** The pool of libuv, where LevelDB reads and writes, and V8's helpers, where garbage is collected. */
  readonly pool: number
}

export type ThreadKind = keyof ThreadCpu

/** Ids of the threads of a process that has just started: none of LevelDB's and none that verifies is among them. */
export function threadsOf(pid: number): ReadonlySet<string> {
  return new Set(readdirSync(`/proc/${pid}/task`))
}

/**
 * CPU that the threads of a process have used so far, by kind, from Linux's `/proc`. Threads have no names in Node.js 20: one that
 * came after the start waits in epoll if it runs JavaScript, and on a futex if it is LevelDB's. So call it while the process is idle.
 */
export function threadCpu(pid: number, atStart: ReadonlySet<string>): ThreadCpu {
  const used = { main: 0, verification: 0, leveldb: 0, pool: 0 }
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const file = (name: string) => readFileSync(`/proc/${pid}/task/${thread}/${name}`, 'utf8')
    const nanoseconds = Number(file('schedstat').split(' ')[0])
    const late = atStart.has(thread) ? 'pool' : file('wchan').includes('epoll') ? 'verification' : 'leveldb'
    used[thread === String(pid) ? 'main' : late] += nanoseconds / 1000
  }
  return used
}

/** What was used between two moments, per unit of work. */
export function perUnit(before: ThreadCpu, after: ThreadCpu, units: number): ThreadCpu {
  const kinds = Object.keys(after) as ThreadKind[]
  return Object.fromEntries(kinds.map((kind) => [kind, (after[kind] - before[kind]) / units])) as unknown as ThreadCpu
}

/**
 * The most units a second that a node reaches alone on that many cores, from the CPU of each kind of thread a unit. The first thread
 * that is busy all the time sets it, or the cores together: `main` and `leveldb` are one thread each, `verification` is one thread a
 * core up to a limit, `pool` is several. A bound: it takes work as evenly spread, and memory as no slower with more cores.
 */
export function rateOn(cores: number, { main, verification, leveldb, pool }: ThreadCpu): number {
  const workers = Math.min(cores, MAX_DEFAULT_WORKERS)
  const busiest = Math.max(main, leveldb, verification / workers, (main + verification + leveldb + pool) / cores)
  return 1e6 / busiest
}
