import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { privateKeySigner } from '../../src/client/signers.ts'
import type { WatchEvent } from '../../src/client/watch.ts'
import { newKey } from '../support/keys.ts'
import { startProxy } from '../client/proxy.ts'
import { createCluster, type Cluster, type NodeProcess } from '../support/cluster.ts'
import { until } from '../support/until.ts'

let cluster: Cluster
let nodes: NodeProcess[]
beforeAll(async () => {
  cluster = await createCluster()
  nodes = await cluster.line(3)
})
afterAll(async () => await cluster.close())

const urls = (): string[] => nodes.map(({ url }) => url)

describe('a client over three nodes', () => {
  it('writes at one and sees it at all', async () => {
    const signer = privateKeySigner(newKey())
    const writer = createClient({ nodes: [urls()[0] ?? ''] })
    const reader = createClient({ nodes: urls() })
    await writer.put({ signer, patch: { n: 1 } })
    await writer.change({ signer, platform: 'github', identity: 'me', change: () => ({ repos: ['a', 'b'] }) })
    await until(async () => {
      const { nodes: reports } = await reader.getVerified(signer.avatar)
      return reports.every(({ standing }) => standing === 'equal')
    }, 'all nodes show it')
    expect(await reader.getVerified(signer.avatar)).toMatchObject({ state: 'verified', head: 2, problems: [] })
    expect(await reader.hosts(signer.avatar)).toMatchObject({ verdict: 'equal', head: 2 })
    expect(await reader.provenance(signer.avatar, 'github', 'me', '/repos/1')).toMatchObject({
      kind: 'set',
      counter: 2,
    })
  })

  it('finds out which of two hosts is behind, and which lies', async () => {
    const [one, two] = [await cluster.start('one'), await cluster.start('two')]
    const proxy = await startProxy(() => two.url)
    const signer = privateKeySigner(newKey())
    const both = createClient({ nodes: [one.url, proxy.url] })
    await both.put({ signer, patch: { n: 1 } }, { to: 'all' })
    expect(await both.hosts(signer.avatar)).toMatchObject({ verdict: 'equal', head: 1, contradictions: [] })
    await createClient({ nodes: [two.url] }).put({ signer, patch: { n: 2 } })
    const report = await both.hosts(signer.avatar)
    expect(report).toMatchObject({ verdict: 'behind', head: 2, contradictions: [] })
    expect(report.hosts.map(({ node, state, lacks }) => [node, state, lacks.length])).toEqual([
      [one.url, 'behind', 1],
      [proxy.url, 'equal', 0],
    ])
    proxy.tell(async ({ path }, honest) => {
      if (!path.endsWith('/receipt')) return undefined
      const receipt = JSON.parse((await honest()).body) as object
      return { body: JSON.stringify({ ...receipt, records: 7 }) }
    })
    const forged = await both.hosts(signer.avatar)
    expect(forged.hosts[1]).toMatchObject({ state: 'failed', problems: [expect.stringContaining('not signed by')] })
    proxy.tell(async ({ path }, honest) => {
      if (!path.endsWith('/records')) return undefined
      const page = JSON.parse((await honest()).body) as { records: unknown[] }
      return { body: JSON.stringify({ ...page, records: page.records.slice(0, 1) }) }
    })
    expect(await both.hosts(signer.avatar)).toMatchObject({ verdict: 'contradictory' })
    const nobody = await both.hosts(privateKeySigner(newKey()).avatar)
    expect([nobody.verdict, nobody.hosts[0]?.problems]).toEqual([null, ['it has no records of this avatar']])
    await proxy.close()
  })

  it('follows on while nodes die and come back, and writes wherever it can', async () => {
    const signer = privateKeySigner(newKey())
    const client = createClient({ nodes: urls() })
    const stop = new AbortController()
    const events: WatchEvent[] = []
    const watching = (async () => {
      for await (const event of client.watch(signer.avatar, { signal: stop.signal })) events.push(event)
    })()
    const told = (): unknown[] =>
      events.flatMap((event) =>
        event.type === 'change'
          ? event.records.map(({ body }) => (body.type === 'patch' ? body.patch['n'] : null))
          : [],
      )
    const writer = createClient({ nodes: urls() })
    // What the first state shows already is told in no change.
    await until(() => Promise.resolve(events.some(({ type }) => type === 'state')), 'it follows')
    const count = 12
    for (let n = 1; n <= count; n++) {
      if (n === 4) await nodes[0]?.kill()
      if (n === 8) await nodes[0]?.restart()
      if (n === 9) await nodes[1]?.kill()
      if (n === 11) await nodes[1]?.restart()
      expect(await writer.put({ signer, patch: { n } })).toMatchObject({ status: 'stored' })
    }
    await until(() => Promise.resolve(told().length >= count), 'everything is told', 60_000)
    await until(
      async () => {
        const { nodes: reports } = await writer.getVerified(signer.avatar)
        return reports.every(({ standing }) => standing === 'equal')
      },
      'all nodes show it',
      60_000,
    )
    stop.abort()
    await watching
    expect([...told()].sort((a, b) => Number(a) - Number(b))).toEqual(Array.from({ length: count }, (_, at) => at + 1))
    expect(await writer.getVerified(signer.avatar)).toMatchObject({ state: 'verified', records: count })
  })
})
