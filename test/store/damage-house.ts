import { cp, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import type { VerifiedRecord } from '../../src/record/types.ts'
import { createMetrics } from '../../src/observe/metrics.ts'
import { openStore } from '../../src/store/store.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { selectEngine } from '../../src/verify/select-engine.ts'
import { verified, type OpenStore } from './harness.ts'
import { Writer } from './writer.ts'

/** So small that a few hundred records make tables of several levels, and a log. */
const SMALL = { cacheBytes: 1_500_000, writeBufferBytes: 136_000 }

const components = {
  environment: systemEnvironment(),
  logger: pino({ level: 'silent' }),
  metrics: createMetrics(),
  engine: await selectEngine(),
}

/** A store of some avatars, and a folder with its files to be copied and damaged. */
export interface DamageHouse {
  readonly records: readonly VerifiedRecord[]
  /** A copy of the files, of a store that was closed or of one that was killed. */
  copy(kind: 'closed' | 'killed'): Promise<string>
  remove(): Promise<void>
}

export const open = (folder: string, options: { readonly checkedBytes?: number } = {}): Promise<OpenStore> =>
  openStore(components, { location: join(folder, 'store'), network: 'main', ...SMALL, ...options })

export const LOG = /^[0-9]+\.log$/
export const TABLE = /^[0-9]+\.ldb$/
export const MANIFEST = /^MANIFEST-/

export async function createDamageHouse(random: () => number): Promise<DamageHouse> {
  const folder = await mkdtemp(join(tmpdir(), 'avatar-kv-damage-'))
  const closed = join(folder, 'closed')
  const killed = join(folder, 'killed')
  const records: VerifiedRecord[] = []
  const store = await open(closed)
  const writers = [1, 2, 3, 4].map((seed) => new Writer(seed))
  const last = new Map<Writer, ReturnType<Writer['patch']>>()
  for (let round = 0; round < 90; round += 1) {
    const batch = writers.map((writer) => {
      const before = last.get(writer)
      const text = Array.from({ length: 20 + (round % 7) * 60 }, () => random().toString(36).slice(2)).join('')
      const patch = writer.patch(before === undefined ? [] : [before], { [`k${round % 9}`]: text, round })
      last.set(writer, patch)
      return patch
    })
    records.push(...verified(batch))
    await store.commit(records.slice(-batch.length))
    await new Promise((done) => setTimeout(done, 5))
  }
  // The mark follows within a second.
  for (;;) {
    const mark = JSON.parse(await readFile(join(closed, 'store.mark.json'), 'utf8')) as { last_sequence: number }
    if (mark.last_sequence === store.lastSequence()) break
    await new Promise((done) => setTimeout(done, 50))
  }
  await cp(closed, killed, { recursive: true })
  await store.close()
  let copies = 0
  return {
    records,
    async copy(kind) {
      copies += 1
      const path = join(folder, `copy-${copies}`)
      await cp(kind === 'closed' ? closed : killed, path, { recursive: true })
      return path
    },
    remove: () => rm(folder, { recursive: true }),
  }
}

/** The files of LevelDB in a copy. */
export async function levelFiles(folder: string, pattern: RegExp): Promise<string[]> {
  return (await readdir(join(folder, 'store'))).filter((name) => pattern.test(name)).sort()
}

/** Ways in which a disk or a person damages a file; `random` gives numbers below 1. */
export const DAMAGES: Readonly<Record<string, (path: string, random: () => number) => Promise<void>>> = {
  flipped: (path, random) =>
    changed(path, (bytes) => {
      const at = Math.floor(random() * bytes.length)
      bytes[at] = (bytes[at] as number) ^ (1 << Math.floor(random() * 8))
    }),
  'flipped in 20 places': (path, random) =>
    changed(path, (bytes) => {
      for (let flip = 0; flip < 20; flip += 1) {
        const at = Math.floor(random() * bytes.length)
        bytes[at] = (bytes[at] as number) ^ (1 << Math.floor(random() * 8))
      }
    }),
  'a page of zeros': (path, random) =>
    changed(path, (bytes) => {
      const at = Math.floor(random() * bytes.length)
      bytes.fill(0, at, Math.min(bytes.length, at + 4_096))
    }),
  'a page of something else': (path, random) =>
    changed(path, (bytes) => {
      const at = Math.floor(random() * bytes.length)
      for (let each = at; each < Math.min(bytes.length, at + 4_096); each += 1) bytes[each] = Math.floor(random() * 256)
    }),
  truncated: async (path, random) => truncate(path, Math.floor(random() * (await readFile(path)).length)),
  emptied: (path) => truncate(path, 0),
  deleted: (path) => rm(path),
}

async function changed(path: string, change: (bytes: Buffer) => void): Promise<void> {
  const bytes = await readFile(path)
  change(bytes)
  await writeFile(path, bytes)
}
