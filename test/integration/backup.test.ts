import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { afterAll, beforeAll, expect, test } from 'vitest'

import type { Receipt } from '../../src/receipt/receipt.ts'
import { run } from '../cli/run.ts'
import { createCluster } from '../support/cluster.ts'
import type { Cluster, NodeProcess } from '../support/cluster.ts'
import { settled, statuses } from '../support/settle.ts'
import { sleep, until } from '../support/until.ts'
import { cite, createWriter } from '../support/writer.ts'

let cluster: Cluster
let folder: string
let node: NodeProcess
let peer: NodeProcess

beforeAll(async () => {
  cluster = await createCluster()
  node = await cluster.start('node', { syncIntervalSeconds: 1 })
  peer = await cluster.start('peer', { peers: [node.address], syncIntervalSeconds: 1 })
  folder = dirname(node.dataDir)
})

afterAll(async () => await cluster.close())

const place = (from: NodeProcess) => ['--data-dir', from.dataDir, '--node', from.url]
const command = (...args: string[]) => run(args, { cwd: folder })
const receiptOf = async (from: NodeProcess, avatar: string) =>
  (await (await fetch(`${from.url}/v2/avatars/${avatar}/receipt`)).json()) as Receipt

/** Runs the command as a process of its own, to be killed. */
function launch(...args: string[]) {
  return spawn(process.execPath, [join(process.cwd(), 'dist/main.js'), ...args], { cwd: folder, stdio: 'ignore' })
}

/** Bytes of the files in a directory; undefined if there is none. */
async function bytesIn(path: string): Promise<number | undefined> {
  const names = await readdir(join(folder, path)).catch(() => undefined)
  const sizes = names?.map(async (name) => (await stat(join(folder, path, name)).catch(() => undefined))?.size ?? 0)
  return sizes && (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}

/** Kills the process once the directory that it fills has so many bytes; if they never come, the process has ended by itself. */
async function killedAt(bytes: number, path: string, child: ChildProcess): Promise<void> {
  const isOver = () => child.exitCode !== null || child.signalCode !== null
  while (!isOver() && ((await bytesIn(path)) ?? -1) < bytes) await sleep(1)
  child.kill('SIGKILL')
  if (!isOver()) await once(child, 'exit')
}

test('a node is backed up while it is written to; restored from it, it catches up and misleads nobody', async () => {
  const writer = createWriter('backup running')
  const forked = createWriter('backup forked')
  const first = forked.write({ a: 1 })
  const sides = [forked.write({ left: 1 }, { prev: cite(first) }), forked.write({ right: 1 }, { prev: cite(first) })]
  const lost = forked.write({ lost: 1 }, { prev: cite(first) })
  await node.api.write([first, ...sides, forked.write({ waits: 1 }, { prev: cite(lost) })])

  let writing = true
  let written = 0
  const writes = (async () => {
    while (writing) {
      const records = Array.from({ length: 20 }, () =>
        writer.write({ count: ++written, [`key ${written % 50}`]: written }),
      )
      expect(new Set(statuses(await node.api.write(records)))).toEqual(new Set(['stored']))
    }
  })()
  await until(async () => written > 200, 'something is written')
  const outcome = await command('backup', 'monday', ...place(node), '--json')
  expect(outcome).toMatchObject({ code: 0, err: '' })
  const manifest = JSON.parse(outcome.out) as { avatars: number; records: number; live: number; epoch: string }
  await until(async () => written > manifest.live + 200, 'more is written')
  writing = false
  await writes
  expect(manifest).toMatchObject({ avatars: 2, records: manifest.live })
  expect(manifest.live).toBeLessThan(written)
  expect((await readdir(join(folder, 'monday'))).toSorted()).toEqual([
    ...['backup.json', 'hosting.log', 'records.avatar-kv.ndjson.gz'],
  ])
  expect((await stat(join(folder, 'monday'))).mode & 0o777).toBe(0o700)
  const archive = join('monday', 'records.avatar-kv.ndjson.gz')
  expect(await command('verify', archive, '--json')).toMatchObject({ code: 0 })

  // The node is lost. Its peer has everything, and a client has a cursor and a receipt of it.
  await settled([node, peer], writer.avatar, ({ head }) => head === written, 'all patches')
  const page = await (await fetch(`${node.url}/v2/avatars/${writer.avatar}/records?limit=10`)).json()
  const { cursor } = page as { cursor: string }
  const before = await receiptOf(node, writer.avatar)
  await node.kill()
  await rm(node.dataDir, { recursive: true })

  const restored = await command('restore', 'monday', '--data-dir', 'restored', '--json')
  expect(restored).toMatchObject({ code: 0, err: '' })
  const told = JSON.parse(restored.out) as { records: number; epoch: string }
  expect(told.records).toBe(manifest.records)
  expect(told.epoch).not.toBe(manifest.epoch)

  const again = await cluster.start('restored', { syncIntervalSeconds: 1 })
  const old = await again.api.avatar(writer.avatar)
  expect(old!.head).toBe(manifest.live - 4)
  const answer = await fetch(`${again.url}/v2/avatars/${writer.avatar}/records?cursor=${cursor}`)
  expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([410, 'cursor_expired'])
  const events = await fetch(`${again.url}/v2/events?after=${manifest.epoch}-5`, {
    headers: { accept: 'text/event-stream' },
  })
  const reader = events.body!.getReader()
  let text = ''
  while (!text.includes('event: reset')) {
    const { value, done } = await reader.read()
    if (done) throw new Error(`no reset in: ${text}`)
    text += Buffer.from(value).toString()
  }
  await reader.cancel()

  await again.stop()
  await again.restart({ peers: [peer.address] })
  await settled([again, peer], writer.avatar, ({ head }) => head === written, 'all patches')
  await settled([again, peer], forked.avatar, ({ tips, pending }) => tips.length === 2 && pending === 1, 'the fork')
  const after = await receiptOf(again, writer.avatar)
  expect([after.digest, after.head]).toEqual([before.digest, before.head])
  expect(after.peer_id).not.toBe(before.peer_id)
  // At rest, in both directions: nothing old is offered to the peer as new.
  const moved = async () => (await again.api.peers()).map(({ sync }) => [sync?.records_in, sync?.records_out])
  const sessions = async () => (await again.api.peers())[0]?.sync?.sessions ?? 0
  await until(async () => {
    const [shown] = await again.api.peers()
    return shown?.sync?.last?.outcome === 'equal' && shown.sync.last.differences === 0
  }, 'they are equal')
  const rest = await moved()
  const compared = await sessions()
  await until(async () => (await sessions()) >= compared + 2, 'they compare twice more')
  expect(await moved()).toEqual(rest)
  await again.stop()
})

test('a node that is stopped is backed up from its directory, with its key, and takes its place again', async () => {
  const own = await cluster.start('own')
  const writer = createWriter('backup stopped')
  await own.api.write([writer.write({ a: 1 }), writer.write({ a: 2 })])
  const { peer_id } = await own.api.status()
  const shown = await own.api.avatarText(writer.avatar)
  expect((await command('backup', 'running', ...place(own))).code).toBe(0)
  await own.stop()
  const made = await command('backup', 'stopped', ...place(own), '--with-key')
  expect(made).toMatchObject({ code: 0, err: 'It holds the secret key of the node: keep it from others.\n' })
  expect((await stat(join(folder, 'stopped', 'peer.key'))).mode & 0o777).toBe(0o600)
  const states = await Promise.all(
    ['running', 'stopped'].map(async (name) => {
      const { state, peer_id } = JSON.parse(await readFile(join(folder, name, 'backup.json'), 'utf8'))
      return [state, peer_id]
    }),
  )
  expect(states[0]).toEqual(states[1])

  const plain = await command('restore', 'running', '--data-dir', 'twin', '--with-key')
  expect(plain).toMatchObject({ code: 1, err: expect.stringContaining('The backup holds no key') })
  const restored = await command('restore', 'stopped', '--data-dir', 'twin', '--with-key')
  expect(restored).toMatchObject({ code: 0, err: expect.stringContaining('Two nodes must never run with one key') })
  expect((await stat(join(folder, 'twin', 'peer.key'))).mode & 0o777).toBe(0o600)
  const twin = await cluster.start('twin')
  expect((await twin.api.status()).peer_id).toBe(peer_id)
  expect(await twin.api.avatarText(writer.avatar)).toBe(shown)
  await twin.stop()
})

test('what is in the way is told, and changes nothing', async () => {
  const own = await cluster.start('refusals')
  const other = await cluster.start('other')
  await own.api.write([createWriter('backup refused').write({ a: 1 })])
  expect((await command('backup', 'whole', ...place(own))).code).toBe(0)
  expect((await command('backup', 'whole', ...place(own))).err).toContain('already exists')
  const wrong = await command('backup', 'wrong', '--data-dir', own.dataDir, '--node', other.url)
  expect(wrong).toMatchObject({ code: 1, err: expect.stringContaining('is not the one whose data is in') })
  const silent = await command('backup', 'silent', '--data-dir', own.dataDir, '--node', 'http://127.0.0.1:1')
  expect(silent).toMatchObject({ code: 1, err: expect.stringContaining('Name its HTTP address with --node URL') })
  const clear = await command('backup', 'clear', '--data-dir', own.dataDir, '--node', 'http://192.0.2.7')
  expect(clear).toMatchObject({ code: 2, err: expect.stringContaining('not sent in the clear') })
  expect((await command('backup', 'none', '--data-dir', 'nowhere')).err).toContain('There are no data of a node')

  const onto = await command('restore', 'whole', '--data-dir', own.dataDir)
  expect(onto).toMatchObject({ code: 1, err: expect.stringContaining('is not empty') })
  expect((await command('restore', own.dataDir, '--data-dir', 'new')).err).toContain('is not a backup')
  await writeFile(join(folder, 'whole', 'records.avatar-kv.ndjson.gz'), 'damaged')
  expect((await command('restore', 'whole', '--data-dir', 'new')).err).toContain('differs from what was written')
  const left = await readdir(folder)
  expect(left.filter((name) => /^(wrong|silent|clear|none|nowhere|new)/.test(name))).toEqual([])
  await Promise.all([own.stop(), other.stop()])
})

test('killed at any time, a backup and a restore leave nothing that looks whole, and can be run again', async () => {
  const own = await cluster.start('killed')
  const writers = Array.from({ length: 20 }, (_, index) => createWriter(`backup killed ${index}`))
  for (const writer of writers) {
    await own.api.write(Array.from({ length: 100 }, (_, index) => writer.write({ index, text: 'x'.repeat(500) })))
  }
  const shown = await own.api.avatarText(writers[7]!.avatar)

  expect((await command('backup', 'measured', ...place(own))).code).toBe(0)
  const backupBytes = (await bytesIn('measured')) ?? 0
  let [whole, cut] = [0, 0]
  for (let round = 0; round < 10; round++) {
    await killedAt((backupBytes * round) / 10, 'target.part', launch('backup', 'target', ...place(own)))
    const names = await readdir(folder)
    if (names.includes('target')) {
      whole += 1
      expect((await command('verify', join('target', 'records.avatar-kv.ndjson.gz'))).code).toBe(0)
      await rm(join(folder, 'target'), { recursive: true })
    } else cut += 1
  }
  expect(cut).toBeGreaterThan(0)
  expect(whole + cut).toBe(10)
  expect((await command('backup', 'target', ...place(own))).code).toBe(0)
  expect((await readdir(folder)).filter((name) => name.startsWith('target'))).toEqual(['target'])
  await own.stop()

  expect(await command('restore', 'target', '--data-dir', 'measured-data')).toMatchObject({ code: 0 })
  const storeBytes = (await bytesIn('measured-data/store')) ?? 0
  let started = 0
  for (let round = 0; round < 10; round++) {
    const child = launch('restore', 'target', '--data-dir', 'revived')
    await killedAt((storeBytes * round) / 10, 'revived/store', child)
    const names = await readdir(join(folder, 'revived')).catch((): string[] => [])
    if (names.includes('restoring.json')) {
      started += 1
      await expect(cluster.start('revived')).rejects.toThrow('was not finished')
      const half = await command('backup', 'half', '--data-dir', 'revived')
      expect(half).toMatchObject({ code: 1, err: expect.stringContaining('was not finished') })
      const part = await command('export', '--all', '--data-dir', 'revived')
      expect(part).toMatchObject({ code: 1, err: expect.stringContaining('was not finished') })
    } else if (names.length > 0) await rm(join(folder, 'revived'), { recursive: true })
  }
  expect(started).toBeGreaterThan(0)
  await mkdir(join(folder, 'revived'), { recursive: true })
  expect(await command('restore', 'target', '--data-dir', 'revived')).toMatchObject({ code: 0 })
  const revived = await cluster.start('revived')
  expect(await revived.api.avatarText(writers[7]!.avatar)).toBe(shown)
  expect((await revived.api.status()).records).toBe(2000)
  await revived.stop()
})
