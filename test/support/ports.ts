import { once } from 'node:events'
import { readFile, readdir, readlink } from 'node:fs/promises'
import { createServer } from 'node:net'

/**
 * Below the ports that systems give to outgoing connections (Linux: from 32,768 on; IANA: from 49,152 on), so that a node
 * which was killed finds its own port free when it is started again.
 */
const FIRST_PORT = 16_384
/** Test files that run at once take from shares of their own. */
const SHARES = 8
const PORTS_A_SHARE = 2_000
const MAX_ATTEMPTS = 100

const share = Number(process.env['VITEST_POOL_ID'] ?? 0) % SHARES
const given = new Set<number>()

/** A port of loopback that nobody listens on, and that no later call gives. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const port = FIRST_PORT + share * PORTS_A_SHARE + Math.floor(Math.random() * PORTS_A_SHARE)
    if (given.has(port) || !(await isFree(port))) continue
    given.add(port)
    return port
  }
  throw new Error(`No free port found in ${MAX_ATTEMPTS} attempts.`)
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}

/**
 * The system's own lines of all sockets of a local TCP port, with the processes that hold them, to explain why it is taken.
 * Linux alone tells (`/proc/net/tcp`; state `0A` listens, `01` is connected, `06` waits after its end).
 */
export async function holdersOf(port: number): Promise<string[]> {
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  const tables = await Promise.all(['tcp', 'tcp6'].map((name) => readFile(`/proc/net/${name}`, 'utf8').catch(() => '')))
  const lines = tables.flatMap((table) => table.split('\n').filter((line) => line.includes(`:${hex} `)))
  const inodes = new Set(lines.map((line) => line.trim().split(/\s+/)[9] ?? ''))
  return [...lines.map((line) => line.trim()), ...(await processesOf(inodes))]
}

async function processesOf(inodes: ReadonlySet<string>): Promise<string[]> {
  const found: string[] = []
  for (const pid of (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))) {
    for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const inode = /^socket:\[(\d+)\]$/.exec(await readlink(`/proc/${pid}/fd/${fd}`).catch(() => ''))?.[1]
      if (inode === undefined || inode === '0' || !inodes.has(inode)) continue
      const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
      found.push(`process ${pid} (socket ${inode}): ${command.replaceAll('\0', ' ')}`)
    }
  }
  return found
}
