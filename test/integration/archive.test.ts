import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import type { CheckReport } from '../../src/archive/check.ts'
import type { ImportReport } from '../../src/ingest/import-archive.ts'
import { foldRecords } from '../../src/state/fold.ts'
import { archiveOf } from '../archive/archives.ts'
import { Writer } from '../store/writer.ts'
import { createCluster } from '../support/cluster.ts'
import type { Cluster, NodeProcess } from '../support/cluster.ts'
import { sleep } from '../support/until.ts'

const MAIN = join(process.cwd(), 'dist/main.js')
const KILLS = 5

let cluster: Cluster
let node: NodeProcess
let cwd: string
const alice = new Writer(1)
const chain = alice.chain(1_500)
const late = alice.patch([{ counter: 9_000, id: `0x${'9'.repeat(64)}` }], { late: 1 })
const records = [...chain, late, alice.patch([chain[7]!], { fork: 1 })]
const fold = foldRecords(alice.avatar, records)

beforeAll(async () => {
  cluster = await createCluster()
  node = await cluster.start('archives')
  cwd = mkdtempSync(join(tmpdir(), 'avatar-kv-archives-'))
  writeFileSync(join(cwd, 'made'), await archiveOf(records))
})
afterAll(async () => {
  await cluster.close()
  rmSync(cwd, { recursive: true })
})

function launch(args: readonly string[]): { child: ChildProcess; out: Promise<string> } {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (piece: string) => void (text += piece))
  child.stderr.resume()
  return { child, out: once(child, 'close').then(() => text) }
}

async function json<T>(...args: string[]): Promise<T> {
  return JSON.parse(await launch([...args, '--json']).out) as T
}

/** Runs a command and kills it with SIGKILL after a while that grows from kill to kill; its time when left alone. */
async function killed(args: readonly string[], turn: number, wholeMs: number): Promise<void> {
  const { child, out } = launch(args)
  await sleep((wholeMs * (turn + 1)) / (KILLS + 1))
  child.kill('SIGKILL')
  await out
}

async function timed(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await run()
  return performance.now() - start
}

describe('archives on the command line, with real processes', () => {
  it('an import that was killed at any moment is done by another one, by HTTP and into a directory', async () => {
    const places = { node: ['--node', node.url], directory: ['--data-dir', 'data'] }
    const whole = await timed(() => json('import', 'made', '--data-dir', 'timed'))
    for (const place of [places.node, places.directory]) {
      for (let turn = 0; turn < KILLS; turn++) await killed(['import', 'made', ...place], turn, whole)
      const report = await json<ImportReport>('import', 'made', ...place)
      expect(report).toMatchObject({ records: records.length, invalid: 0, refused: 0, sound: true })
      expect(report.stored + report.pending + report.duplicate).toBe(records.length)
      const file = `back-${place[0]}`
      await json('export', '--all', ...place, '--out', file)
      const { sound, shown } = await json<CheckReport>('verify', file)
      expect(sound).toBe(true)
      expect(shown).toMatchObject([
        { avatar: alice.avatar, records: records.length, state: { digest: fold.digest, pending: 1, tips_total: 2 } },
      ])
    }
  })

  it('an export that was killed at any moment leaves no file that looks whole', async () => {
    await json('import', 'made', '--data-dir', 'data')
    for (const place of [
      ['--node', node.url],
      ['--data-dir', 'data'],
    ]) {
      const whole = await timed(() => json('export', '--all', ...place, '--out', 'timed-export', '--force'))
      for (let turn = 0; turn < KILLS; turn++) {
        const file = `killed-${place[0]}-${turn}`
        await killed(['export', '--all', ...place, '--out', file], turn, whole)
        if (existsSync(join(cwd, file))) expect(await json<CheckReport>('verify', file)).toMatchObject({ sound: true })
        // What is left behind does not stand in the way of the next one.
        if (turn === KILLS - 1) {
          await json('export', '--all', ...place, '--out', file, '--force')
          expect(await json<CheckReport>('verify', file)).toMatchObject({ sound: true, valid: records.length })
          expect(readdirSync(cwd)).not.toContain(`${file}.part`)
        }
      }
    }
  })

  it('takes in while others write, and is of one moment', async () => {
    const bob = new Writer(2)
    const written = bob.chain(300)
    let at = 0
    const writing = (async () => {
      for (; at < written.length; at += 20) await node.api.write(written.slice(at, at + 20))
    })()
    const heads: number[] = []
    while (at < written.length) {
      await json('export', '--all', '--node', node.url, '--out', 'moving', '--force')
      const { sound, complete, missing, shown } = await json<CheckReport>('verify', 'moving')
      expect({ sound, missing }).toEqual({ sound: true, missing: fold.missing.length })
      expect(complete).toBe(false)
      heads.push(shown.find(({ avatar }) => avatar === bob.avatar)?.state?.head ?? 0)
    }
    await writing
    expect(heads).toEqual(heads.toSorted((a, b) => a - b))
  })
})
