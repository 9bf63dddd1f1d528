import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createApi } from './api.ts'
import type { Api } from './api.ts'
import { freePort, holdersOf } from './ports.ts'
import { PATIENCE_MS, sleep, until } from './until.ts'

/** The built command line, as users run it. Tests and benches are started from the project's folder. */
const MAIN = join(process.cwd(), 'dist/main.js')
/** A node starts in under a second on an idle machine; a busy one gets this much. */
const START_TIMEOUT_MS = PATIENCE_MS
/** A node bounds its own stop at 5 s and reports an overrun by its exit code. One that hangs is killed, and `stop` reports no exit code. */
const STOP_TIMEOUT_MS = PATIENCE_MS
/**
 * A port that was this node's own before it was killed is now and then still taken when it is started again (seen once in
 * about a thousand kills, on a busy machine, of ports that nothing else uses). It is asked for again, as a supervisor would.
 */
const PORT_ATTEMPTS = 10
const PORT_WAIT_MS = 500
/** Log lines kept of each process, to explain a failure. */
const LOG_LINES_KEPT = 60

export interface StartOptions {
  /** Multiaddrs to dial. */
  readonly peers?: readonly string[]
  readonly network?: string
  /** False: records travel by sync alone. */
  readonly gossip?: boolean
  /** Whether it finds peers by itself. Default false: it connects to `peers` alone. */
  readonly discovery?: boolean
  readonly syncIntervalSeconds?: number
  /** Most that a file may grow to, as on a disk that is full; a write beyond that fails. */
  readonly maxFileBytes?: number
  /** Further arguments of `start`. */
  readonly flags?: readonly string[]
  /** Further environment variables. */
  readonly env?: Readonly<Record<string, string>>
  /** Further arguments of Node.js itself. */
  readonly nodeFlags?: readonly string[]
  /** Another main file than the built one. */
  readonly main?: string
}

/** One node process. Restarted, it keeps its folder, its ports and its peers. */
export interface NodeProcess {
  readonly name: string
  /** Its data directory. */
  readonly dataDir: string
  /** For example `http://127.0.0.1:40123`. */
  readonly url: string
  /** Multiaddr with `/p2p/<peer id>`. */
  readonly address: string
  readonly api: Api
  readonly pid: number
  /** SIGTERM; resolves to the exit code, null if the process had to be killed. */
  stop(): Promise<number | null>
  /** SIGKILL, as a crash would. */
  kill(): Promise<void>
  /** Starts it again after `stop` or `kill`, with other options where some are given. */
  restart(options?: StartOptions): Promise<void>
}

export interface Cluster {
  start(name: string, options?: StartOptions): Promise<NodeProcess>
  /** `count` nodes, each dialling the one before it; resolves once they gossip with their neighbours, if they do gossip. */
  line(count: number, options?: Omit<StartOptions, 'peers'> & { readonly name?: string }): Promise<NodeProcess[]>
  /** Kills what still runs and removes all folders. */
  close(): Promise<void>
}

interface Started {
  readonly child: ChildProcess
  readonly url: string
  readonly address: string
}

/** POSIX: blocks of 512 bytes, and a signal that ends whoever does not ignore it. */
function limited(maxFileBytes: number, args: readonly string[]): [string, ...string[]] {
  const script = `trap '' XFSZ; ulimit -f ${Math.floor(maxFileBytes / 512)}; exec "$0" "$@"`
  return ['/bin/sh', '-c', script, process.execPath, ...args]
}

/** Starts real node processes on loopback, each in a folder of its own below the system's temporary one. */
export async function createCluster(): Promise<Cluster> {
  const folder = await mkdtemp(join(tmpdir(), 'avatar-kv-cluster-'))
  const children = new Set<ChildProcess>()

  async function launch(name: string, http: string, listen: string, options: StartOptions): Promise<Started> {
    const flags = options.nodeFlags ?? []
    const args = [
      ...flags,
      options.main ?? MAIN,
      'start',
      '--data-dir',
      join(folder, name),
      '--http',
      http,
      '--listen',
      listen,
    ]
    for (const peer of options.peers ?? []) args.push('--peer', peer)
    // Tests say who is connected with whom; those of discovery switch it on.
    if (options.discovery !== true) args.push('--discovery', 'false')
    args.push(...(options.flags ?? []))
    if (options.network !== undefined) args.push('--network', options.network)
    if (options.gossip !== undefined) args.push('--gossip', String(options.gossip))
    const seconds = options.syncIntervalSeconds
    if (seconds !== undefined) args.push('--sync-interval-seconds', String(seconds))
    const { maxFileBytes } = options
    const [command, ...rest] = maxFileBytes === undefined ? [process.execPath, ...args] : limited(maxFileBytes, args)
    const child = spawn(command, rest, {
      cwd: folder,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    children.add(child)
    child.once('exit', () => children.delete(child))
    return await untilStarted(name, child)
  }

  async function start(name: string, options: StartOptions = {}): Promise<NodeProcess> {
    const [http, listen] = [`127.0.0.1:${await freePort()}`, `/ip4/127.0.0.1/tcp/${await freePort()}`]
    let running = await launch(name, http, listen, options)
    return {
      name,
      dataDir: join(folder, name),
      get url() {
        return running.url
      },
      get address() {
        return running.address
      },
      get api() {
        return createApi(running.url)
      },
      get pid() {
        return running.child.pid ?? -1
      },
      stop: async () => await stopChild(running.child, 'SIGTERM'),
      kill: async () => void (await stopChild(running.child, 'SIGKILL')),
      restart: async (changed = {}) => {
        options = { ...options, ...changed }
        for (let attempt = 1; ; attempt++) {
          try {
            running = await launch(name, http, listen, options)
            return
          } catch (error) {
            const port = takenPort(error)
            if (port === undefined || attempt === PORT_ATTEMPTS) throw error
            console.warn(`${name}: port ${port} is taken, attempt ${attempt}:\n${(await holdersOf(port)).join('\n')}`)
            await sleep(PORT_WAIT_MS)
          }
        }
      },
    }
  }

  return {
    start,
    async line(count, { name = 'node', ...options } = {}) {
      const nodes: NodeProcess[] = []
      for (let index = 0; index < count; index++) {
        const before = nodes.at(-1)
        nodes.push(await start(`${name}-${index}`, before ? { ...options, peers: [before.address] } : options))
      }
      if (options.gossip !== false) await untilLineGossips(nodes)
      return nodes
    },
    async close() {
      await Promise.all([...children].map((child) => stopChild(child, 'SIGKILL')))
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Resolves once each node of a line gossips with every neighbour. Nothing written before it is sure to be heard. */
export async function untilLineGossips(nodes: readonly NodeProcess[]): Promise<void> {
  await until(async () => {
    const counts = await Promise.all(nodes.map((node) => node.api.gossipPeers()))
    return counts.every((count, index) => count >= (index > 0 ? 1 : 0) + (index < nodes.length - 1 ? 1 : 0))
  }, 'the line gossips')
}

async function untilStarted(name: string, child: ChildProcess): Promise<Started> {
  const { stdout, stderr } = child
  if (!stdout || !stderr) throw new Error('A node process has no output to read.')
  const log: string[] = []
  const keep = (line: string) => void (log.push(line) > LOG_LINES_KEPT && log.shift())
  createInterface(stderr).on('line', keep)
  return await new Promise((resolve, reject) => {
    const fail = (why: string) => {
      child.kill('SIGKILL')
      reject(new Error(`${name} ${why}:\n${log.join('\n')}`))
    }
    const timer = setTimeout(() => fail(`did not start within ${START_TIMEOUT_MS} ms`), START_TIMEOUT_MS)
    child.once('exit', (code, signal) => {
      clearTimeout(timer)
      fail(`ended with ${code ?? signal} before it had started`)
    })
    createInterface(stdout).on('line', (line) => {
      keep(line)
      const started = readStarted(line)
      if (started === undefined) return
      clearTimeout(timer)
      resolve({ child, ...started })
    })
  })
}

/** The port that a node could not have because it is in use, from what it said as it ended. */
function takenPort(error: unknown): number | undefined {
  const said = /"(?:http_address_unusable|listen_failed)".*?(?::|\/tcp\/)(\d+): the port is already in use/.exec(
    String(error),
  )
  return said ? Number(said[1]) : undefined
}

/** The log line with msg "started" says where the node listens. */
function readStarted(line: string): { url: string; address: string } | undefined {
  if (!line.includes('"started"')) return undefined
  const entry = JSON.parse(line) as { msg?: string; http?: string; addresses?: string[] }
  const address = entry.addresses?.find((each) => each.startsWith('/ip4/127.0.0.1/'))
  if (entry.msg !== 'started' || entry.http === undefined || address === undefined) return undefined
  return { url: entry.http.startsWith('http') ? entry.http : `http://${entry.http}`, address }
}

async function stopChild(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
  const exited = once(child, 'exit')
  child.kill(signal)
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
  await exited
  clearTimeout(timer)
  return child.exitCode
}
