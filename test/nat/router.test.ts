import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'

import { afterEach, beforeAll, expect, test } from 'vitest'

import { until } from '../support/until.ts'
import { addRoutes, homeBehindRouter, NODE_PORT, PUBLIC } from './internet.ts'
import { createLab } from './lab.ts'
import type { Lab, LabNode, Machine } from './lab.ts'

/** The program that most routers at home run for UPnP and NAT-PMP. */
beforeAll(() => {
  if (spawnSync('miniupnpd', ['--version']).error === undefined) return
  throw new Error(
    'miniupnpd is not installed, so this test has no router. Install the Debian package miniupnpd-nftables.',
  )
})

let lab: Lab | undefined
afterEach(async () => {
  await lab?.close()
  lab = undefined
})

interface Status {
  readonly reachability: { readonly state: string; readonly text: string }
  readonly addresses: readonly string[]
}

/** Runs miniupnpd on a router whose interfaces are `wan` and `lan`. */
async function forwardPorts(router: Machine, settings: readonly string[]): Promise<void> {
  const rules = [
    'add table inet filter',
    'add chain inet filter miniupnpd',
    'add chain inet filter prerouting_miniupnpd',
    'add chain inet filter postrouting_miniupnpd',
    'add chain inet filter pre { type nat hook prerouting priority -90 ; }',
    'add rule inet filter pre jump prerouting_miniupnpd',
  ]
  for (const rule of rules) await router.exec('nft', rule)
  const config = router.path('miniupnpd.conf')
  const lines = ['ext_ifname=wan', 'listening_ip=lan', 'secure_mode=yes', 'system_uptime=yes', ...settings]
  await writeFile(config, `${lines.join('\n')}\nuuid=00000000-0000-4000-8000-000000000001\n`)
  router.daemon('miniupnpd', '-d', '-f', config, '-P', router.path('miniupnpd.pid'))
}

test.each([
  ['UPnP', 'UPnP, version 1', ['enable_upnp=yes', 'enable_natpmp=no', 'force_igd_desc_v1=yes']],
  ['UPnP', 'UPnP, version 2', ['enable_upnp=yes', 'enable_natpmp=no', 'force_igd_desc_v1=no']],
  ['NAT-PMP', 'NAT-PMP', ['enable_upnp=no', 'enable_natpmp=yes']],
])('a home node is reached at the port that its router forwards: %s (%s)', async (speaks, _, settings) => {
  lab = await createLab()
  const { hub, router, home } = await homeBehindRouter(lab)
  await forwardPorts(router, settings)
  const statusOf = async (node: LabNode): Promise<Status> => node.cli<Status>('status')
  await hub.startNode()
  const node = await home.startNode('--upnp', 'true', '--seed', `/ip4/${PUBLIC.hub}/tcp/${NODE_PORT}`)
  await until(async () => (await statusOf(node)).reachability.state === 'reachable', 'the home node is reached')
  const { reachability, addresses } = await statusOf(node)
  expect(reachability.text).toBe(`reachable from outside; the router forwards TCP ${NODE_PORT} (${speaks})`)
  expect(addresses).toContain(`/ip4/${PUBLIC.router}/tcp/${NODE_PORT}/p2p/${node.peerId}`)

  // At its stop the node gives the port back.
  const forwards = async (): Promise<string> =>
    router.exec('nft', 'list', 'chain', 'inet', 'filter', 'prerouting_miniupnpd')
  expect(await forwards()).toContain('192.168.1.20')
  await node.stop()
  await until(async () => !(await forwards()).includes('192.168.1.20'), 'the router forwards nothing more')
})

test('a router that does not answer is said so', async () => {
  lab = await createLab()
  const [router, home] = (await Promise.all(['router', 'home'].map((name) => (lab as Lab).machine(name)))) as [
    Machine,
    Machine,
  ]
  await lab.link('lan', [
    { machine: router, device: 'lan', address: '192.168.1.1/24' },
    { machine: home, device: 'eth0', address: '192.168.1.20/24' },
  ])
  await addRoutes(home, '192.168.1.1')
  const node = await home.startNode('--upnp', 'true')
  await until(
    async () =>
      (await node.cli<Status>('status')).reachability.text === 'not known yet; no router answered (UPnP, NAT-PMP)',
    'status says that no router answered',
  )
})
