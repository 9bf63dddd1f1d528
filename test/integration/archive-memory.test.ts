import { nodePlatform } from '../../src/archive/node.ts'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'

import type { ArchiveSource } from '../../src/archive/format.ts'
import { writeArchive } from '../../src/archive/writer.ts'
import { CREATED_AT } from '../archive/archives.ts'
import type { TestRecord } from '../oracle/signing.ts'
import { Writer } from '../store/writer.ts'

const MAIN = join(process.cwd(), 'dist/main.js')
/** What a command may have of its own, however large the archive is. */
const MOST_MB = 200
const SAMPLE_MS = 20
const AVATARS = 40
const LARGE = 30
const LARGE_CHARACTERS = 160_000
const SMALL = 400
const NO_QUOTAS = { quota_avatar_bytes: 0, quota_avatar_records: 0, quota_total_bytes: 0, quota_total_records: 0 }

let cwd: string
/** A value of each size under each key, so that what an avatar shows is far less than its history. */
const archive: ArchiveSource = {
  async *avatars() {
    yield* [...writers.keys()].sort()
  },
  async *records(avatar) {
    const writer = writers.get(avatar)
    let last: TestRecord[] = []
    for (let at = 0; writer !== undefined && at < LARGE + SMALL; at++) {
      const isLarge = at % Math.floor((LARGE + SMALL) / LARGE) === 0
      const value = 'x'.repeat(isLarge ? LARGE_CHARACTERS : 20)
      last = [writer.patch(last, { [`k${at % 3}`]: value })]
      yield* last
    }
  },
}
const writers = new Map(
  Array.from({ length: AVATARS }, (_, seed) => new Writer(seed + 1)).map((each) => [each.avatar, each]),
)

beforeAll(async () => {
  cwd = mkdtempSync(join(tmpdir(), 'avatar-kv-memory-'))
  // Said, so that nothing is assumed of a node that there is not.
  writeFileSync(join(cwd, 'config.json'), JSON.stringify({ ...NO_QUOTAS, hosting_mode: 'all' }))
  const bytes = writeArchive(nodePlatform, archive, { network: 'main', createdAt: CREATED_AT, history: false })
  await pipeline(bytes, createWriteStream(join(cwd, 'made')))
})
afterAll(() => rmSync(cwd, { recursive: true }))

/** Runs a command; the most memory of its own that it was seen to have, in MB: without files that the system has mapped. */
async function most(...args: string[]): Promise<{ megabytes: number; report: unknown }> {
  const child = spawn(process.execPath, [MAIN, ...args, '--json'], { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  let [out, err, kibibytes] = ['', '', 0]
  child.stdout.setEncoding('utf8').on('data', (piece: string) => void (out += piece))
  child.stderr.setEncoding('utf8').on('data', (piece: string) => void (err += piece))
  const sampling = setInterval(() => {
    const own = /RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))
    kibibytes = Math.max(kibibytes, Number(own?.[1] ?? 0))
  }, SAMPLE_MS)
  // Its status is there until its end has been told.
  child.once('exit', () => clearInterval(sampling))
  const [code] = (await once(child, 'close')) as [number]
  expect({ code, err }).toEqual({ code: 0, err: '' })
  return { megabytes: (kibibytes * 1_024) / 1e6, report: JSON.parse(out) }
}

it('archives go in and out in bounded memory, however much there is of them', async () => {
  const records = AVATARS * (LARGE + SMALL)
  expect(statSync(join(cwd, 'made')).size).toBeGreaterThan(MOST_MB * 1e6)

  const imported = await most('import', 'made', '--data-dir', 'data')
  const exported = await most('export', '--all', '--data-dir', 'data', '--out', 'back')
  const verified = await most('verify', 'back')
  const compressed = await most('export', '--all', '--gzip', '--data-dir', 'data', '--out', 'back.gz')
  const again = await most('import', 'back.gz', '--data-dir', 'data', '--config', 'config.json')

  expect(imported.report).toMatchObject({ stored: records, sound: true })
  expect(verified.report).toMatchObject({ valid: records, complete: true })
  expect(again.report).toMatchObject({ duplicate: records, sound: true })
  const seen = [imported, exported, verified, compressed, again].map(({ megabytes }) => Math.round(megabytes))
  // More than nothing: they were seen at all.
  expect(Math.min(...seen)).toBeGreaterThan(20)
  expect(Math.max(...seen), `${seen.join(', ')} MB`).toBeLessThan(MOST_MB)
})
