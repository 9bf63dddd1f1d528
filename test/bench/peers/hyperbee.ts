import { once } from 'node:events'
import { open as openFile } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { requirePeer } from './install.ts'
import type { Job, System } from './jobs.ts'

interface Core {
  readonly key: Buffer
  readonly contiguousLength: number
  ready(): Promise<void>
  download(range: { start: number; end: number }): unknown
  on(event: 'download' | 'append', listener: () => void): void
}
interface Corestore {
  ready(): Promise<void>
  get(options: { name: string } | { key: Buffer }): Core
  replicate(isInitiator: boolean): Duplex
  close(): Promise<void>
  readonly storage: { readonly db: { currentWalFile(): Promise<{ path: string }> } }
}
interface Bee {
  ready(): Promise<void>
  put(key: string, value: string): Promise<void>
  batch(): { put(key: string, value: string): Promise<void>; flush(): Promise<void> }
}
type NewCorestore = new (folder: string) => Corestore
type NewHyperbee = new (core: Core, options: { keyEncoding: 'utf-8'; valueEncoding: 'utf-8' }) => Bee

/** The first block of a bee is its header. */
const HEADER_BLOCKS = 1

/** Hyperbee on Hypercore on RocksDB, replicated over a TCP connection of loopback, encrypted as always. */
export const hyperbee: System = {
  async open(job) {
    const store = await openStore(job)
    const core = store.get({ name: 'bench' })
    await core.ready()
    const bee = new (requirePeer<NewHyperbee>(job.peers, 'hyperbee'))(core, {
      keyEncoding: 'utf-8',
      valueEncoding: 'utf-8',
    })
    await bee.ready()
    const log = job.fsync === true ? await openLog(store, job.folder) : undefined
    return {
      async write(entries) {
        const [only] = entries
        if (only !== undefined && entries.length === 1) await bee.put(only.key, only.value)
        else {
          const batch = bee.batch()
          for (const { key, value } of entries) await batch.put(key, value)
          await batch.flush()
        }
        await log?.datasync()
      },
      async serve() {
        const server = createServer((socket) => replicate(store, false, socket)).listen(0, '127.0.0.1')
        await once(server, 'listening')
        return `${(server.address() as AddressInfo).port} ${core.key.toString('hex')}`
      },
      async close() {
        await log?.close()
        await store.close()
      },
    }
  },
  async fetch(job, up, held) {
    const [port, key] = (job.address ?? '').split(' ')
    const store = await openStore(job)
    const core = store.get({ key: Buffer.from(key ?? '', 'hex') })
    await core.ready()
    core.download({ start: 0, end: -1 })
    const look = () => held(core.contiguousLength - HEADER_BLOCKS)
    core.on('download', look)
    core.on('append', look)
    replicate(store, true, connect({ host: '127.0.0.1', port: Number(port), noDelay: true }))
    up()
  },
}

async function openStore({ folder, peers }: Job): Promise<Corestore> {
  const store = new (requirePeer<NewCorestore>(peers, 'corestore'))(folder)
  await store.ready()
  return store
}

function replicate(store: Corestore, isInitiator: boolean, socket: Duplex): void {
  const stream = store.replicate(isInitiator)
  // The parent kills the other process at the end.
  stream.on('error', () => undefined)
  socket.on('error', () => undefined)
  socket.pipe(stream).pipe(socket)
}

/**
 * RocksDB's log of the writes, to fsync after each: Hypercore never asks RocksDB for that, and has no option for it. The log is
 * the same file throughout, as long as less is written than fits into a memory table.
 */
async function openLog(store: Corestore, folder: string): Promise<FileHandle> {
  const { path } = await store.storage.db.currentWalFile()
  return await openFile(join(folder, 'db', path), 'r+')
}
