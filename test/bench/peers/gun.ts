import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { requirePeer } from './install.ts'
import type { Job, System } from './jobs.ts'

interface Chain {
  get(key: string): Chain
  put(value: string, acknowledged: (answer: { err?: string }) => void): void
  map(): Chain
  on(each: (value: unknown, key: string) => void): void
}
interface User extends Chain {
  auth(pair: Pair, done: () => void): void
}
interface Pair {
  readonly pub: string
}
interface Gun extends Chain {
  user(): User
}
interface GunModule {
  (options: object): Gun
  readonly SEA: { pair(): Promise<Pair> }
  serve(folder: string): Parameters<typeof createServer>[1]
}

/**
 * GUN collects writes for this long before it writes a file. Its own value, 250 ms, would allow four writes a second, one at a
 * time.
 */
const WRITE_AFTER_MS = 5
const ROOT = 'bench'

/** GUN with the signatures of SEA, one a value, on its own files, which it does not fsync. Between processes by WebSocket. */
export const gun: System = {
  async open(job) {
    const Gun = requirePeer<GunModule>(job.peers, 'gun')
    const server = createServer(Gun.serve(job.folder)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const db = Gun({ ...optionsOf(job), web: server })
    const pair = await Gun.SEA.pair()
    const user = db.user()
    await new Promise<void>((resolve) => user.auth(pair, resolve))
    const put = async (key: string, value: string) =>
      await new Promise<void>((resolve, reject) =>
        user
          .get(ROOT)
          .get(key)
          .put(value, ({ err }) => (err ? reject(new Error(err)) : resolve())),
      )
    return {
      write: async (entries) => void (await Promise.all(entries.map(({ key, value }) => put(key, value)))),
      serve: async () => `${(server.address() as AddressInfo).port} ${pair.pub}`,
      close: async () => void server.close(),
    }
  },
  async fetch(job, up, held) {
    const [port, pub] = (job.address ?? '').split(' ')
    const Gun = requirePeer<GunModule>(job.peers, 'gun')
    const db = Gun({ ...optionsOf(job), peers: [`http://127.0.0.1:${port}/gun`] })
    const seen = new Set<string>()
    db.get(`~${pub}`)
      .get(ROOT)
      .map()
      .on((_, key) => held(seen.add(key).size))
    up()
  },
}

/** Without what looks for other nodes. */
function optionsOf({ folder }: Job): object {
  const file = join(folder, 'radata')
  return { file, until: WRITE_AFTER_MS, localStorage: false, multicast: false, axe: false, stats: false }
}
