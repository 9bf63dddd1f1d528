import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { nobleEngine } from '../../src/record/engine.ts'
import { avatarOf, parseSecretKey } from '../../src/record/keys.ts'
import { createSigningKey } from '../../src/record/sign.ts'
import type { Citation, JsonObject, RecordId } from '../../src/record/types.ts'
import { nodeAt } from '../../src/cli/lib/node.ts'
import { startNodeProcess } from '../../src/cli/lib/node-process.ts'
import { checkNode } from '../../src/client/check-node.ts'
import { planOn, signPlan } from '../../src/client/snapshot-plan.ts'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createApi } from '../support/api.ts'
import { createCluster } from '../support/cluster.ts'
import type { Cluster, NodeProcess } from '../support/cluster.ts'
import { createOwner } from './snapshot-owner.ts'
import type { Owner } from './snapshot-owner.ts'
import { startRelay } from './snapshot-relay.ts'
import { until } from '../support/until.ts'
import { cite } from '../support/writer.ts'

const PATCHES = 2_000
const LOOPBACK = ['--http', '127.0.0.1:0', '--listen', '/ip4/127.0.0.1/tcp/0']
const NAMESPACES: readonly [string, string][] = [
  ['twitter', 'alice'],
  ['github', 'Alice'],
  ['x.y', '\u{1f600}'],
]

let cluster: Cluster
let nodes: NodeProcess[]
let node: NodeProcess
const owners: Owner[] = []

beforeAll(async () => {
  cluster = await createCluster()
  nodes = await cluster.line(2, { syncIntervalSeconds: 2 })
  node = nodes[0]!
})
afterAll(async () => {
  for (const owner of owners) owner.close()
  await cluster.close()
})

function owner(name: string): Owner {
  const made = createOwner(name, () => node.url)
  owners.push(made)
  return made
}

interface Made {
  readonly snapshot: Citation
  readonly parts: number
  readonly before: { readonly records: number; readonly bytes: number }
  readonly after: { readonly records: number; readonly bytes: number }
  readonly warnings: readonly string[]
  readonly concurrent: number
  readonly superseded: readonly RecordId[]
  readonly resumed: boolean
  readonly digest: string
}

async function snapshot(who: Owner, args: readonly string[] = ['--yes'], stdin?: string): Promise<Made> {
  return (await who.json(['snapshot', ...args], stdin)) as unknown as Made
}

/** Contents by namespace. */
async function contents(who: Owner, at = node): Promise<Record<string, JsonObject>> {
  const answer = await at.api.avatar(who.avatar)
  return Object.fromEntries(
    (answer?.namespaces ?? []).map((each) => [`${each.platform} ${each.identity}`, each.content]),
  )
}

/** Writes patches that together make more than one record can hold. */
async function writeMuch(who: Owner, patches: number): Promise<void> {
  const written = Array.from({ length: patches }, (_, index) => {
    const [platform, identity] = NAMESPACES[index % 4] ?? ['nextid', who.avatar]
    const patch = { [`key ${index % 1500}`]: { text: `${index} ${'é'.repeat(350)}`, at: index }, last: { index } }
    return who.write(patch, { platform, identity })
  })
  for (let at = 0; at < written.length; at += 500) {
    const results = await node.api.write(written.slice(at, at + 500))
    expect(new Set(results.map(({ status }) => status))).toEqual(new Set(['stored']))
  }
}

describe('a long history', () => {
  test(`of ${PATCHES} patches and more than 1 MB becomes one snapshot in parts, on every node, with nothing changed`, async () => {
    const who = owner('long history')
    await writeMuch(who, PATCHES)
    const before = await contents(who)
    expect(Object.keys(before)).toHaveLength(4)
    expect(Buffer.byteLength(JSON.stringify(before))).toBeGreaterThan(1_000_000)

    // Without --yes, nothing happens: nobody is there to be asked.
    await who.run(['put', '{"newest":true}'])
    const unasked = await who.run(['snapshot'], '')
    expect(unasked).toMatchObject({ code: 2, out: '' })
    expect(unasked.err).toContain('1 write came in the last 10 minutes')
    expect(unasked.err).toMatch(/records +2,001 +\d\n/)
    expect(unasked.err).toContain('--yes')
    const denied = await who.run(['snapshot'])
    expect(denied).toMatchObject({ code: 1, out: '' })
    expect(denied.err).toContain('Nothing was changed.')
    expect((await node.api.avatar(who.avatar))?.base).toBeNull()

    const withNewest = await contents(who)
    const made = await snapshot(who)
    expect(made).toMatchObject({ before: { records: PATCHES + 1 }, concurrent: 0, superseded: [], resumed: false })
    expect(made.warnings).toHaveLength(1)
    expect(made.parts).toBeGreaterThan(3)
    expect(made.after.records).toBe(made.parts + 1)
    expect(made.after.bytes).toBeLessThan(made.before.bytes)
    expect(await contents(who)).toEqual(withNewest)

    const answer = await node.api.avatar(who.avatar)
    expect(answer).toMatchObject({ base: made.snapshot, tips: [made.snapshot], digest: made.digest, pending: 0 })
    await until(async () => {
      return (await nodes[1]!.api.avatarText(who.avatar)) === (await node.api.avatarText(who.avatar))
    }, 'the other node shows the same')
    const verified = await who.run(['get', who.avatar, '--verify', '--node', nodes[1]!.url])
    expect(verified.code).toBe(0)

    const again = await who.run(['snapshot'])
    expect(again).toMatchObject({ code: 0 })
    expect(again.out).toContain('nothing to compact')
    // The next write builds on it.
    await who.json(['put', '{"next":1}'])
    expect(await contents(who)).toEqual({
      ...withNewest,
      [`nextid ${who.avatar}`]: { ...withNewest[`nextid ${who.avatar}`], next: 1 },
    })
  })

  test('of which a run was cut half way: the next goes on with the very same records', async () => {
    const who = owner('cut')
    await writeMuch(who, 1200)
    const client = nodeAt(node.url)
    const secretKey = parseSecretKey(readFileSync(join(who.cwd, 'avatar.key'), 'utf8'))
    expect(avatarOf(secretKey)).toBe(who.avatar)
    const check = (await checkNode(client, nobleEngine, who.avatar))!
    const { keccak256: keccak } = nobleEngine
    const now = Math.floor(Date.now() / 1000) - 60
    const subject = { avatar: who.avatar, network: 'main', namespaces: check.fold.namespaces, now, keccak }
    const planned = planOn(check, subject)
    const signed = signPlan(planned, createSigningKey(secretKey))
    expect(signed.length).toBeGreaterThan(3)
    await client.submit(signed.slice(0, 2))
    const before = await contents(who)
    expect(await node.api.avatar(who.avatar)).toMatchObject({ base: null, missing: { total: signed.length - 2 } })

    const made = await snapshot(who)
    expect(made).toMatchObject({ resumed: true, warnings: [], snapshot: { id: planned.records[0]?.id } })
    expect(await contents(who)).toEqual(before)
    expect(await node.api.avatar(who.avatar)).toMatchObject({
      base: made.snapshot,
      missing: { total: 0 },
      pending: 0,
    })
  })

  test('of which a run was cut and that went on since: the next snapshot takes the place of the cut one', async () => {
    const who = owner('cut and gone on')
    await writeMuch(who, 1000)
    const client = nodeAt(node.url)
    const secretKey = parseSecretKey(readFileSync(join(who.cwd, 'avatar.key'), 'utf8'))
    const check = (await checkNode(client, nobleEngine, who.avatar))!
    const { keccak256: keccak } = nobleEngine
    const now = Math.floor(Date.now() / 1000) - 60
    const subject = { avatar: who.avatar, network: 'main', namespaces: check.fold.namespaces, now, keccak }
    const cut = signPlan(planOn(check, subject), createSigningKey(secretKey))
    await client.submit(cut.slice(0, 1))
    await who.json(['put', '{"more":1}'])
    const before = await contents(who)

    const made = await snapshot(who)
    expect(made.resumed).toBe(false)
    expect(made.warnings.join()).toContain('lacks parts')
    expect(await contents(who)).toEqual(before)
    // Nothing is left that waits for the parts of the first.
    expect(await node.api.avatar(who.avatar)).toMatchObject({
      base: made.snapshot,
      missing: { total: 0 },
      pending: 0,
    })
    expect(made.snapshot.counter).toBeGreaterThan(1001)
  })
})

describe('what the person is told', () => {
  test('forks and pending writes are warned of', async () => {
    const who = owner('forks')
    const first = who.write({ a: 1 })
    const forks = [1, 2, 3].map((index) => who.write({ [`fork ${index}`]: index }, { prev: cite(first) }))
    const unseen = who.write({ unseen: 1 }, { prev: cite(forks[0]!) })
    const pending = who.write({ pending: 1 }, { prev: cite(unseen) })
    await node.api.write([first, ...forks, pending])

    const { warnings } = await snapshot(who)
    expect(warnings[0]).toContain('3 open forks')
    expect(warnings[1]).toContain('1 write cannot be shown yet, because this node lacks 1 record')
    expect(await contents(who)).toEqual({
      [`nextid ${who.avatar}`]: { a: 1, 'fork 1': 1, 'fork 2': 2, 'fork 3': 3 },
    })
  })

  test('a write that comes meanwhile counts on top, or is named if the snapshot supersedes it', async () => {
    const who = owner('meanwhile')
    const [first, second] = [who.write({ a: 1 }), who.write({ b: 2 })]
    await node.api.write([first, second])
    const onTop = who.write({ onTop: 1 }, { prev: cite(second) })
    const late = who.write({ late: 1 }, { prev: cite(first) })
    const relay = await startRelay(node.url, {
      before: async (request) => {
        if (request.startsWith('POST')) await node.api.write([onTop, late])
      },
    })
    const made = await snapshot(who, ['--yes', '--node', relay.url])
    await relay.close()
    expect(made).toMatchObject({ snapshot: { counter: 3 }, concurrent: 1 })
    // A node that has pruned it already cannot name it any more.
    expect([[], [late.id]]).toContainEqual(made.superseded)
    expect(await contents(who)).toEqual({ [`nextid ${who.avatar}`]: { a: 1, b: 2, onTop: 1 } })
  })

  test('a node that shows what no record says gets no signature', async () => {
    const who = owner('lied to')
    await node.api.write([who.write({ a: 1 })])
    const relay = await startRelay(node.url, {
      change: (request, text) => (/^GET .*\/0x\w+$/.test(request) ? text.replace('"a":1', '"a":2') : text),
    })
    const { code, err } = await who.run(['snapshot', '--yes', '--node', relay.url])
    await relay.close()
    expect(code).toBe(1)
    expect(err).toContain('Nothing was signed')
    expect(relay.seen.filter((request) => request.startsWith('POST'))).toEqual([])
  })

  test('an avatar that the node does not know has nothing to compact', async () => {
    const { code, err } = await owner('unknown').run(['snapshot', '--yes'])
    expect(code).toBe(1)
    expect(err).toContain('nothing to snapshot')
  })
})

describe('snapshot --erase', () => {
  test('signs the empty state once the digits were typed, and every node shows nothing', async () => {
    const who = owner('erased')
    await node.api.write([who.write({ a: 1 }), who.write({ b: 2 }, { platform: 'twitter', identity: 'x' })])
    for (const typed of ['', 'y\n', `${who.avatar.slice(2, 11)}\n`]) {
      const refused = await who.run(['snapshot', '--erase', '--yes'], typed)
      expect(refused).toMatchObject({ code: 1, out: '' })
      expect(refused.err).toContain('Nothing was changed')
    }
    expect(Object.keys(await contents(who))).toHaveLength(2)

    const erased = await who.json(['snapshot', '--erase'], `${who.avatar.slice(2, 12)}\n`)
    expect(erased).toMatchObject({ status: 'erased', parts: 0, after: { records: 1, namespaces: 0 } })
    expect(await node.api.avatar(who.avatar)).toMatchObject({ namespaces: [], base: { counter: 3 } })
    await until(async () => {
      return (await nodes[1]!.api.avatarText(who.avatar)) === (await node.api.avatarText(who.avatar))
    }, 'the other node shows nothing')
    const again = await who.run(['snapshot', '--erase'], '')
    expect(again).toMatchObject({ code: 0 })
    expect(again.out).toContain('nothing to erase')
  })
})

describe('a node that has no room left for the avatar', () => {
  test('takes the snapshot all the same, in parts, and then writes again', async () => {
    const who = owner('full')
    const full = await startNodeProcess(
      join(process.cwd(), 'dist/main.js'),
      ['--data-dir', 'full', '--quota-avatar-bytes', '1300000', ...LOOPBACK],
      who.cwd,
    )
    try {
      const api = createApi(full.url)
      // The same few keys over and over: much history, and content for several parts.
      const text = (index: number): string => `${index} ${'x'.repeat(20_000)}`
      let refused: string | undefined
      for (let index = 0; refused === undefined; index++) {
        const [result] = await api.write([who.write({ [`k${index % 30}`]: text(index) })])
        if (result?.status !== 'stored') refused = result?.code
      }
      expect(refused).toBe('avatar_quota')
      const before = await api.avatar(who.avatar)
      const made = await snapshot(who, ['--yes', '--node', full.url])
      expect(made.parts).toBeGreaterThan(1)
      expect(made.after.bytes).toBeLessThan(made.before.bytes)
      expect((await api.avatar(who.avatar))?.namespaces).toEqual(before?.namespaces)
      expect(await who.json(['put', '{"again":1}', '--node', full.url])).toMatchObject({ status: 'stored' })
    } finally {
      await full.stop()
    }
  })
})
