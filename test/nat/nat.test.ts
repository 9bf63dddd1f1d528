import { afterEach, expect, test } from 'vitest'

import { until } from '../support/until.ts'
import { addRoutes, homeBehindRouter, masquerade, NODE_PORT, PUBLIC } from './internet.ts'
import { createLab } from './lab.ts'
import type { Lab, LabNode, Machine } from './lab.ts'

let lab: Lab | undefined
afterEach(async () => {
  await lab?.close()
  lab = undefined
})

/** A home that moved to another address is found again in this time. */
const MOVE_MS = 60_000
interface Status {
  readonly reachability: { readonly state: string; readonly text: string }
  readonly records: number
  readonly addresses: readonly string[]
}

const stateOf = async (node: LabNode): Promise<string> => (await node.cli<Status>('status')).reachability.state
const peersOf = async (node: LabNode): Promise<string[]> =>
  (await node.cli<{ peers: { peer_id: string }[] }>('peers')).peers.map(({ peer_id }) => peer_id)

test('a public node, one behind a router, one behind a provider: equal data, the truth about each, and a move', async () => {
  lab = await createLab()
  const make = (name: string): Promise<Machine> => (lab as Lab).machine(name)
  const [hub, open, router, home, carrier, phone] = (await Promise.all(
    ['hub', 'open', 'router', 'home', 'carrier', 'phone'].map(make),
  )) as [Machine, Machine, Machine, Machine, Machine, Machine]
  await lab.link('internet', [
    { machine: hub, device: 'wan', address: `${PUBLIC.hub}/8` },
    { machine: open, device: 'wan', address: `${PUBLIC.open}/8` },
    { machine: router, device: 'wan', address: `${PUBLIC.router}/8` },
    { machine: carrier, device: 'wan', address: `${PUBLIC.carrier}/8` },
  ])
  await lab.link('lan', [
    { machine: router, device: 'lan', address: '192.168.1.1/24' },
    { machine: home, device: 'eth0', address: '192.168.1.20/24' },
  ])
  await lab.link('cell', [
    { machine: carrier, device: 'lan', address: '100.64.0.1/10' },
    { machine: phone, device: 'eth0', address: '100.70.3.4/10' },
  ])
  await addRoutes(home, '192.168.1.1')
  await addRoutes(phone, '100.64.0.1')
  await masquerade(router)
  await masquerade(carrier)

  const hubNode = await hub.startNode()
  const seed = `/ip4/${PUBLIC.hub}/tcp/${NODE_PORT}`
  const nodes = await Promise.all([open, home, phone].map((machine) => machine.startNode('--seed', seed)))
  const [openNode, homeNode, phoneNode] = nodes as [LabNode, LabNode, LabNode]

  // The truth about each.
  await until(async () => (await stateOf(openNode)) === 'reachable', 'the open node knows that it is reachable')
  await until(async () => (await stateOf(hubNode)) === 'reachable', 'the hub knows that it is reachable')
  await until(async () => (await stateOf(homeNode)) === 'behind_router', 'the home node knows of its router')
  await until(async () => (await stateOf(phoneNode)) === 'behind_provider_nat', 'the phone knows of its provider')
  expect((await homeNode.cli<Status>('status')).reachability.text).toBe(
    'behind a router: forward TCP 4382, or start the node with --upnp true',
  )

  // Who is hidden is found by those that it dials; the open node is found through the hub.
  await until(async () => (await peersOf(homeNode)).includes(openNode.peerId), 'the home node finds the open node')
  await until(async () => (await peersOf(phoneNode)).includes(openNode.peerId), 'the phone finds the open node')

  // Equal data.
  for (const node of nodes) {
    await node.run('key', 'create', node.path('key'))
    await node.run('put', `{"from":"${node.peerId}"}`, '--key', node.path('key'))
  }
  const all = [hubNode, ...nodes]
  await until(async () => {
    const counts = await Promise.all(all.map(async (node) => (await node.cli<Status>('status')).records))
    return counts.every((records) => records === nodes.length)
  }, 'everyone has all records')

  // The port is forwarded: the home node notices, and the phone reaches it, though both are hidden.
  await router.exec('nft', `add rule ip nat pre iifname "wan" tcp dport ${NODE_PORT} dnat to 192.168.1.20`)
  await until(async () => (await stateOf(homeNode)) === 'reachable', 'the home node knows that it is reachable now')
  const address = `/ip4/${PUBLIC.router}/tcp/${NODE_PORT}/p2p/${homeNode.peerId}`
  expect((await homeNode.cli<Status>('status')).addresses).toContain(address)

  // The home gets another address from its provider, and is found there within a minute.
  await router.exec('ip', 'address', 'del', `${PUBLIC.router}/8`, 'dev', 'wan')
  await router.exec('ip', 'address', 'add', `${PUBLIC.moved}/8`, 'dev', 'wan')
  await until(
    async () => {
      const { peers } = await hubNode.cli<{ peers: { peer_id: string; addresses: string[] }[] }>('peers')
      const found = peers.find(({ peer_id }) => peer_id === homeNode.peerId)
      return found?.addresses.some((text) => text.startsWith(`/ip4/${PUBLIC.moved}/`)) === true
    },
    'the home node is connected again, from its new address',
    MOVE_MS,
  )
  await homeNode.run('put', '{"after":"the move"}', '--key', homeNode.path('key'))
  await until(
    async () => (await phoneNode.cli<Status>('status')).records === nodes.length + 1,
    'the phone has what was written after the move',
  )
})

test('a home machine that gets another address from its router notices, and is found there within a minute', async () => {
  lab = await createLab()
  const { hub, home } = await homeBehindRouter(lab)
  const hubNode = await hub.startNode()
  const homeNode = await home.startNode('--seed', `/ip4/${PUBLIC.hub}/tcp/${NODE_PORT}`)
  const seenFrom = async (): Promise<string[]> => {
    const { peers } = await hubNode.cli<{ peers: { peer_id: string; addresses: string[] }[] }>('peers')
    return peers.find(({ peer_id }) => peer_id === homeNode.peerId)?.addresses.map(String) ?? []
  }
  await until(async () => (await seenFrom()).length > 0, 'the home node is connected')
  const [before = ''] = await seenFrom()

  await home.exec('ip', 'address', 'del', '192.168.1.20/24', 'dev', 'eth0')
  await home.exec('ip', 'address', 'add', '192.168.1.77/24', 'dev', 'eth0')
  await addRoutes(home, '192.168.1.1')
  await until(
    async () => {
      const { addresses } = await homeNode.cli<Status>('status')
      return (
        addresses.some((text) => text.includes('192.168.1.77')) && (await seenFrom()).some((text) => text !== before)
      )
    },
    'the home node is connected again, from its new address',
    MOVE_MS,
  )
  expect(homeNode.log()).toContain('the addresses of this machine changed')
  await homeNode.run('key', 'create', homeNode.path('key'))
  await homeNode.run('put', '{"after":"the move"}', '--key', homeNode.path('key'))
  await until(async () => (await hubNode.cli<Status>('status')).records === 1, 'the hub has what was written')
})
