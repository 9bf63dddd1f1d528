import { readdirSync, lstatSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { monotonicUs } from '../profile.ts'
import { batchesOf, entries } from './entries.ts'
import type { Job, Opened, Report, System, SystemName } from './jobs.ts'

/** Written before the ones that are timed, as a share of them, to another store: code that runs for the first time is slow. */
const WARM_UP_SHARE = 0.2
/** `stat` counts in these. */
const BLOCK_BYTES = 512

const LOAD: Readonly<Record<SystemName, () => Promise<System>>> = {
  'avatar-kv': async () => (await import('./avatar-kv.ts')).avatarKv,
  hyperbee: async () => (await import('./hyperbee.ts')).hyperbee,
  gun: async () => (await import('./gun.ts')).gun,
  atproto: async () => (await import('./atproto.ts')).atproto,
}

// The parent kills this process. Should the parent be killed first, nothing of it stays behind.
process.once('disconnect', () => process.exit())

const job = JSON.parse(process.argv[2] ?? '') as Job

try {
  const system = await LOAD[job.system]()
  if (job.role === 'write') await write(system)
  else if (job.role === 'source') await source(system)
  else await sink(system)
} catch (error) {
  report({ is: 'failed', why: error instanceof Error ? (error.stack ?? error.message) : String(error) })
}

async function write(system: System): Promise<void> {
  const warm = await open(system, 'warm')
  for (const batch of batchesOf(entries(0, job.total * WARM_UP_SHARE), job.batch)) await warm.write(batch)
  await warm.close()

  const store = await open(system, 'measured')
  const batches = batchesOf(entries(0, job.total), job.batch)
  if (job.presigned === true) store.presign?.(batches)
  const cpu = process.cpuUsage()
  const start = performance.now()
  for (const batch of batches) await store.write(batch)
  const seconds = (performance.now() - start) / 1000
  const { user, system: kernel } = process.cpuUsage(cpu)
  await store.close()
  report({
    is: 'written',
    seconds,
    cpuSeconds: (user + kernel) / 1e6,
    bytes: bytesOnDisk(join(job.folder, 'measured')),
  })
}

async function source(system: System): Promise<void> {
  const store = await open(system, 'source')
  for (const batch of batchesOf(entries(0, job.total), job.batch)) await store.write(batch)
  const address = await store.serve()
  process.on('message', (more: number) => {
    void writeLive(store, more).catch((error: unknown) => report({ is: 'failed', why: String(error) }))
  })
  report({ is: 'serving', address })
}

async function writeLive(store: Opened, count: number): Promise<void> {
  const batches = batchesOf(entries(job.total, count), job.batch)
  report({ is: 'started', at: monotonicUs() })
  for (const batch of batches) await store.write(batch)
}

async function sink(system: System): Promise<void> {
  const open = [...(job.milestones ?? [])]
  await system.fetch(
    job,
    () => report({ is: 'up', at: monotonicUs() }),
    (count) => {
      for (let next = open[0]; next !== undefined && count >= next; next = open[0]) {
        open.shift()
        report({ is: 'held', count: next, at: monotonicUs() })
      }
    },
  )
}

async function open(system: System, name: string): Promise<Opened> {
  const folder = join(job.folder, name)
  mkdirSync(folder)
  return await system.open({ ...job, folder })
}

function report(message: Report): void {
  process.send?.(message)
}

function bytesOnDisk(folder: string): number {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => lstatSync(join(folder, name)))
    .filter((file) => file.isFile())
    .reduce((sum, { blocks }) => sum + blocks * BLOCK_BYTES, 0)
}
