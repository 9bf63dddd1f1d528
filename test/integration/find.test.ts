import { afterAll, beforeAll, expect, test } from 'vitest'

import { HOMES_KEY } from '../../src/homes/homes.ts'
import { verifyReceipt, type Receipt } from '../../src/receipt/receipt.ts'
import { run } from '../cli/run.ts'
import { createCluster, type Cluster } from '../support/cluster.ts'
import { until } from '../support/until.ts'
import { createWriter } from '../support/writer.ts'

let cluster: Cluster
beforeAll(async () => {
  cluster = await createCluster()
})
afterAll(async () => await cluster.close())

test('a listed node that has nothing of an avatar finds its host over libp2p, and reads go there', async () => {
  const host = await cluster.start('host')
  const listed = await cluster.start('listed', { peers: [host.address], flags: ['--hosting-mode', 'listed'] })
  const owner = createWriter('owner')
  const identity = { platform: 'nextid', identity: owner.avatar }
  await host.api.write([owner.write({ colour: 'green', [HOMES_KEY]: [host.url] }, identity)])

  const peerId = host.address.split('/p2p/')[1]
  let hosts: { peer_id: string; here: boolean; told_by: string | null; receipt: Receipt; addresses: string[] }[] = []
  let homes: string[] = []
  await until(async () => {
    const answer = await fetch(`${listed.url}/v2/avatars/${owner.avatar}/hosts`)
    ;({ hosts, homes } = (await answer.json()) as { hosts: typeof hosts; homes: string[] })
    return hosts.length > 0
  }, 'the host is found')
  expect(hosts).toMatchObject([{ peer_id: peerId, here: false, told_by: null, addresses: [host.address] }])
  expect(verifyReceipt(hosts[0]!.receipt)).toBe(true)
  expect(homes).toEqual([host.url])

  const options = { cwd: '/' }
  const found = await run(['find', owner.avatar, '--node', listed.url, '--allow-private'], options)
  expect(found.code).toBe(0)
  expect(found.out).toContain(`${host.url}: has it: head 1, signed by ${peerId}`)
  // A host that tells no URL can be used too.
  expect(found.out).toContain(`avatar-kv migrate ${owner.avatar} --from ${host.address} --to URL`)
  // Without a URL that may be asked, the words name what can be given to --from.
  const moved = await run(['migrate', owner.avatar, '--to', listed.url], {
    ...options,
    env: { AVATAR_KV_NODE: host.url },
  })
  expect(moved.code).toBe(1)
  expect(moved.err).toContain(`--from ${host.address}`)
  const read = await run(['get', owner.avatar, '--node', listed.url, '--allow-private'], options)
  expect(read.out).toContain('"colour": "green"')
  expect(read.err).toContain(`This was read from ${host.url} and verified here.`)
})
