import { once } from 'node:events'
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
