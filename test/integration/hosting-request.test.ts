import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { run } from '../cli/run.ts'
import { createCluster } from '../support/cluster.ts'
import type { Cluster, NodeProcess } from '../support/cluster.ts'
import { heldBy, load } from './sync-watch.ts'
import { until } from '../support/until.ts'
import { cite, createWriter } from '../support/writer.ts'

const SLOW_MS = 600_000
const BY_INVITE = ['--hosting-mode', 'listed', '--hosting-policy', 'invite']

let cluster: Cluster
let folder: string
beforeAll(async () => {
  cluster = await createCluster()
  folder = await mkdtemp(join(tmpdir(), 'avatar-kv-owner-'))
})
afterAll(async () => {
  await cluster.close()
  await rm(folder, { recursive: true })
})

/** A writer, and its key in a file. */
async function ownerOf(name: string) {
  const key = join(folder, `${name}.key`)
  await writeFile(key, createHash('sha256').update(`test writer ${name}`).digest('hex'), { mode: 0o600 })
  return { writer: createWriter(name), key }
}

// Not at a terminal, where a person would be asked.
const cli = (...args: string[]) => run(args, { cwd: folder, stdin: '' })
const request = (node: NodeProcess, key: string, ...args: string[]) =>
  cli('host', 'request', '--node', node.url, '--key', key, ...args)

test(
  'an owner is taken in by a code, his data are fetched from where they lived; he leaves, and nothing is left',
  async () => {
    const old = await cluster.start('old')
    const host = await cluster.start('host', { flags: [...BY_INVITE, '--hosting-pull-private', 'true'] })
    const { writer, key } = await ownerOf('owner')
    const chain = Array.from({ length: 600 }, (_, n) => writer.write({ [`key ${n % 7}`]: n }))
    const fork = writer.write({ fork: true }, { prev: cite(chain[300]!) })
    const last = writer.write({ 'org.avatar-kv.homes': [old.url] }, { prev: cite(chain.at(-1)!) })
    const missing = writer.write({ gap: true }, { prev: cite(last) })
    const pending = writer.write({ waits: true }, { prev: cite(missing) })
    await load(old, [...chain, fork, last])
    await old.api.write([pending])

    expect(await request(host, key)).toMatchObject({ code: 1, err: expect.stringContaining('invite_required') })
    expect(await request(host, key, '--invite', 'aaaa')).toMatchObject({
      err: expect.stringContaining('invite_unknown'),
    })
    const place = ['--node', host.url, '--data-dir', host.dataDir]
    const codes = (await cli('invite', 'create', '--count', '2', ...place)).out.trim().split('\n')
    expect(codes).toHaveLength(2)
    const granted = await request(host, key, '--invite', codes[0]!, '--from', old.url, '--json')
    expect(granted.code).toBe(0)
    const pull = { state: 'done', stored: 603, refused: 0 }
    expect(JSON.parse(granted.out)).toMatchObject({ action: 'host', already: false, pull })
    expect(await host.api.avatarText(writer.avatar)).toBe(await old.api.avatarText(writer.avatar))
    expect(await heldBy(host)).toBe(603)

    // A code is good for one.
    const other = await ownerOf('other')
    expect(await request(host, other.key, '--invite', codes[0]!)).toMatchObject({ code: 1 })
    expect(await request(host, other.key, '--invite', codes[1]!)).toMatchObject({ code: 0 })

    // What is on the list is there after a crash.
    await host.kill()
    await host.restart()
    expect(await host.api.avatarText(writer.avatar)).toBe(await old.api.avatarText(writer.avatar))
    const status = await cli('host', 'status', other.writer.avatar, '--node', host.url)
    expect(status.out).toContain('kept, on the list')

    expect(await request(host, key, '--leave')).toMatchObject({ code: 0, out: expect.stringContaining('released') })
    const gone = await fetch(`${host.url}/v2/avatars/${writer.avatar}`)
    expect([gone.status, await gone.json()]).toMatchObject([404, { code: 'not_hosted', homes: [old.url] }])
    await until(async () => (await heldBy(host)) === 0, 'nothing is left')
    const results = await host.api.write(chain.slice(0, 1))
    expect(results).toMatchObject([{ status: 'refused', code: 'not_hosted', retry: false }])
    const v1 = await fetch(`${host.url}/v1/kv?avatar=${writer.avatar}`)
    expect(await v1.json()).toMatchObject({ proofs: [] })
  },
  SLOW_MS,
)

test(
  'a node fetches from no address of its own network, unless its operator wants that',
  async () => {
    const inner = await cluster.start('inner')
    const careful = await cluster.start('careful', { flags: ['--hosting-policy', 'open'] })
    const { key, writer } = await ownerOf('curious')
    await load(inner, [writer.write({ secret: true })])
    for (const from of [inner.url, inner.url.replace('127.0.0.1', '[::ffff:127.0.0.1]'), 'http://169.254.169.254']) {
      const { code, err } = await request(careful, key, '--from', from)
      expect([from, code, err]).toEqual([from, 1, expect.stringContaining('pull_address_refused')])
    }
    // A name that says so only when it is asked.
    const { code, err } = await request(careful, key, '--from', inner.url.replace('127.0.0.1', 'localhost'))
    expect([code, err]).toEqual([1, expect.stringContaining('not public')])
    expect(await heldBy(careful)).toBe(0)
  },
  SLOW_MS,
)

test(
  'the operator of a node that does not run changes its directory',
  async () => {
    const node = await cluster.start('still', { flags: BY_INVITE })
    const { writer } = await ownerOf('patient')
    const place = ['--node', node.url, '--data-dir', node.dataDir]
    await node.stop()
    const codes = await cli('invite', 'create', ...place)
    expect(codes.code).toBe(0)
    expect(await cli('host', 'add', writer.avatar, ...place)).toMatchObject({ code: 0, out: '1 avatar on the list\n' })
    await node.restart()
    expect(await node.api.write([writer.write({ here: true })])).toMatchObject([{ status: 'stored' }])
    const guest = await ownerOf('guest')
    expect(await request(node, guest.key, '--invite', codes.out.trim())).toMatchObject({ code: 0 })
    expect((await cli('host', 'list', ...place)).out.split('\n').filter(Boolean)).toHaveLength(2)
    // Another node's address with these data: the token does not fit.
    const stranger = await cluster.start('stranger')
    const wrong = await cli('host', 'list', '--node', stranger.url, '--data-dir', node.dataDir)
    expect([wrong.code, wrong.err]).toEqual([1, expect.stringContaining('is not the one whose data is in')])
    const away = await cli('host', 'list', '--node', 'http://127.0.0.1:9', '--data-dir', node.dataDir)
    expect([away.code, away.err]).toEqual([1, expect.stringContaining('A node runs on')])
  },
  SLOW_MS,
)
