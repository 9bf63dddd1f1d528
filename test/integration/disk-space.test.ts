import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { run } from '../cli/run.ts'
import { createCluster, type Cluster } from '../support/cluster.ts'
import { until } from '../support/until.ts'
import { cite, createWriter, type Writer } from '../support/writer.ts'
import { recordDigest } from '../../src/record/id.ts'
import { sign } from '../../src/record/curve.ts'

/** Of any call, as far as this test reads it. */
interface Answer {
  readonly code: string
  readonly message: string
  readonly disk: { readonly state: string }
  readonly quotas: { readonly total_bytes: number }
  readonly sign_payload: string
  readonly uuid: string
  readonly created_at: number
}
type Json = (path: string, init?: RequestInit) => Promise<{ status: number; wait: string | null; body: Answer }>

const DISK_BYTES = 64 * 1024 * 1024

let mountPoint: string
let isMounted = false
let cluster: Cluster
beforeAll(async () => {
  mountPoint = mkdtempSync(join(tmpdir(), 'avatar-kv-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', mountPoint], { stdio: 'pipe' })
  } catch (error) {
    throw new Error(`This test needs a small file system, and a tmpfs cannot be mounted here: ${String(error)}`, {
      cause: error,
    })
  }
  isMounted = true
  cluster = await createCluster()
})
afterAll(async () => {
  await cluster?.close()
  if (isMounted) execFileSync('umount', [mountPoint])
  rmSync(mountPoint, { recursive: true })
})

/** Leaves this share of the disk free, by a file beside the data. */
function leaveFree(percent: number): void {
  const ballast = join(mountPoint, 'ballast')
  rmSync(ballast, { force: true })
  const { bavail, bsize, blocks } = statfsSync(mountPoint)
  writeFileSync(ballast, Buffer.alloc(Math.max(0, Math.floor((bavail - (blocks * percent) / 100) * bsize))))
}

test('a disk that fills up: first no new avatars, then no records, from anybody; room brings all of it back', async () => {
  const marks = ['--disk-new-avatars-percent', '10', '--disk-writes-percent', '5']
  const flags = ['--data-dir', join(mountPoint, 'data'), ...marks]
  const node = await cluster.start('small', { flags, syncIntervalSeconds: 1 })
  const peer = await cluster.start('peer', { peers: [node.address], syncIntervalSeconds: 1 })
  const json: Json = async (path, init) => {
    const response = await fetch(`${node.url}${path}`, init)
    return {
      status: response.status,
      wait: response.headers.get('retry-after'),
      body: JSON.parse(await response.text()),
    }
  }
  const disk = async () => (await json('/v2/status')).body.disk.state
  const old = createWriter('old')
  let tip = old.write({ n: 1 })
  const more = () => (tip = old.write({ n: 2 }, { prev: cite(tip) }))
  expect(await node.api.write([tip])).toMatchObject([{ status: 'stored' }])
  await until(async () => (await peer.api.status()).avatars === 1, 'the peer has the avatar')
  expect((await json('/v2/node')).body.quotas.total_bytes).toBeGreaterThan(1_000_000)
  expect((await json('/v2/node')).body.quotas.total_bytes).toBeLessThan(DISK_BYTES)

  leaveFree(8)
  await until(async () => (await disk()) === 'low', 'the disk is low')
  expect(await node.api.write([createWriter('new').write({ n: 1 }), more()])).toMatchObject([
    { status: 'refused', code: 'disk_low', retry: true },
    { status: 'stored' },
  ])

  leaveFree(3)
  await until(async () => (await disk()) === 'full', 'the disk is full')
  expect(await node.api.metric('avatar_kv_disk_state')).toBe(2)
  expect(await node.api.write([old.write({ n: 3 }, { prev: cite(tip) })])).toMatchObject([
    { status: 'refused', code: 'disk_full', retry: true },
  ])
  const v1 = await writeByVersion1(old, json)
  expect([v1.status, v1.body.code, v1.wait]).toEqual([503, 'disk_full', '60'])
  expect(v1.body.message).toMatch(/nearly full.*Nothing was stored.*another node/)
  expect((await node.api.avatar(old.avatar))?.head).toBe(2)

  // What the peer takes meanwhile does not reach the node: neither by gossip nor by sync.
  const elsewhere = createWriter('elsewhere')
  const written = [elsewhere.write({ n: 1 }), more()]
  expect(await peer.api.write(written)).toMatchObject([{ status: 'stored' }, { status: 'stored' }])
  const before = await node.api.metric('avatar_kv_sync_comparisons_total')
  await until(async () => (await node.api.metric('avatar_kv_sync_comparisons_total')) > before + 2, 'they compared')
  expect(await node.api.status()).toMatchObject({ avatars: 1, records: 2 })
  // The peer is not punished: it stays connected.
  expect((await node.api.peers()).length).toBe(1)
  expect((await peer.api.peers()).length).toBe(1)

  leaveFree(40)
  await until(async () => (await disk()) === 'ok', 'the disk has room')
  await until(async () => (await node.api.status()).records === 4, 'the node has caught up')
  expect(await node.api.avatar(elsewhere.avatar)).toMatchObject({ head: 1 })
})

test('while the disk is low no avatar gets on the list, by any way of asking; a code is not used up', async () => {
  const flags = ['--data-dir', join(mountPoint, 'listed'), '--hosting-mode', 'listed', '--hosting-policy', 'invite']
  const marks = ['--disk-new-avatars-percent', '10', '--disk-writes-percent', '0']
  const node = await cluster.start('listed', { flags: [...flags, ...marks] })
  const key = join(mountPoint, 'owner.key')
  const command = (...words: string[]) => run([...words, '--node', node.url], { cwd: mountPoint, stdin: '' })
  const status = async (): Promise<{ disk: { state: string }; hosting: { listed: number } }> =>
    JSON.parse(await (await fetch(`${node.url}/v2/status`)).text())
  const untilDisk = (state: string) => until(async () => (await status()).disk.state === state, `the disk is ${state}`)
  const operate = (...words: string[]) => command(...words, '--data-dir', join(mountPoint, 'listed'))
  const { out } = await run(['key', 'create', key], { cwd: mountPoint })
  const avatar = out.match(/0x[0-9a-f]{66}/)?.[0] ?? ''
  const code = (await operate('invite', 'create')).out.trim()

  leaveFree(8)
  await untilDisk('low')
  const refused = /disk of this node is getting full.*takes no new avatars.*Nothing was changed.*another node/s
  const asked = await command('host', 'request', '--key', key, '--invite', code)
  expect([asked.code, asked.err]).toEqual([1, expect.stringMatching(refused)])
  const added = await operate('host', 'add', avatar)
  expect([added.code, added.err]).toEqual([1, expect.stringMatching(refused)])
  expect((await status()).hosting.listed).toBe(0)

  leaveFree(40)
  await untilDisk('ok')
  expect((await command('host', 'request', '--key', key, '--invite', code)).code).toBe(0)
  // What is on the list stays there, and may be asked for again.
  leaveFree(8)
  await untilDisk('low')
  expect((await operate('host', 'add', avatar)).code).toBe(0)
})

/** A write by version 1 of the interface, as Next.ID's clients make it. */
async function writeByVersion1({ avatar, secretKey }: Writer, json: Json) {
  const draft = { avatar, platform: 'nextid', identity: avatar, patch: { by: 'version 1' } }
  const { body } = await json('/v1/kv/payload', { method: 'POST', body: JSON.stringify(draft) })
  const digest = recordDigest(new TextEncoder().encode(body.sign_payload))
  const signature = Buffer.from(sign(digest, secretKey, { prehash: false, lowS: true })).toString('base64')
  const { uuid, created_at } = body
  return await json('/v1/kv', { method: 'POST', body: JSON.stringify({ ...draft, uuid, created_at, signature }) })
}
