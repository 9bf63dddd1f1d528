import { afterEach, expect, test } from 'vitest'

import { until } from '../support/until.ts'
import { createLab } from './lab.ts'
import type { Lab, LabNode } from './lab.ts'

let lab: Lab | undefined
afterEach(async () => {
  await lab?.close()
  lab = undefined
})

/** The promise to people: two nodes on one link find each other in this time, with no flag. */
const FIND_MS = 10_000

const peersOf = async (node: LabNode): Promise<string[]> =>
  (await node.cli<{ peers: { peer_id: string }[] }>('peers')).peers.map(({ peer_id }) => peer_id)

test('two nodes on one link find each other with no flag; a node of another network, and one that has it off, do not', async () => {
  lab = await createLab()
  const machines = await Promise.all(['a', 'b', 'c', 'd'].map((name) => (lab as Lab).machine(name)))
  const ports = machines.map((machine, at) => ({ machine, device: 'eth0', address: `192.168.7.${at + 1}/24` }))
  await lab.link('lan', ports)
  for (const machine of machines) await machine.exec('ip', 'route', 'add', 'default', 'via', '192.168.7.254')
  const [a, b, c, d] = (await Promise.all(
    machines.map((machine, at) =>
      machine.startNode(...([[], [], ['--network', 'other'], ['--mdns', 'false']][at] as string[])),
    ),
  )) as [LabNode, LabNode, LabNode, LabNode]
  await until(async () => (await peersOf(a)).includes(b.peerId), 'they are connected', FIND_MS)
  expect(await peersOf(b)).toEqual([a.peerId])
  expect(await peersOf(c)).toEqual([])
  expect(await peersOf(d)).toEqual([])
})
