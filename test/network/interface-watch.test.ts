import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, expect, test } from 'vitest'

import { defaultNetworkLimits } from '../../src/network/limits.ts'
import { createRedial } from '../../src/network/redial.ts'
import { systemEnvironment } from '../../src/platform/system.ts'
import { sleep, until } from '../support/until.ts'
import { addressOf, meshed, silent, startNode, stopAll, stopLater } from './nodes.ts'

afterEach(stopAll)

/** Sooner than pings could find a dead connection: after 20 s at least (`CONNECTION_LIMITS.monitor`). */
const SOON_MS = 18_000
const limits = { ...defaultNetworkLimits, interfaces: { everyMs: 50, answerMs: 500 } }

/** A way to a node that can go dead without closing, as one over an address that is gone. */
async function startWay(port: number) {
  const pairs: (readonly [Socket, Socket])[] = []
  const server = createServer((here) => {
    const there = connect(port, '127.0.0.1')
    pairs.push([here, there])
    for (const socket of [here, there]) socket.on('error', () => {})
    here.on('close', () => there.destroy())
    there.on('close', () => here.destroy())
    here.pipe(there).pipe(here)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  stopLater({
    async stop() {
      server.close()
      for (const socket of pairs.flat()) socket.destroy()
    },
  })
  return {
    address: `/ip4/127.0.0.1/tcp/${(server.address() as AddressInfo).port}`,
    count: () => pairs.length,
    die() {
      for (const [here, there] of pairs) {
        here.unpipe(there).pause()
        there.unpipe(here).pause()
      }
    },
  }
}

test('connections that did not outlive a change of addresses are dialled again; living ones stay', async () => {
  const a = await startNode()
  const b = await startNode()
  const way = await startWay(Number(/tcp\/(\d+)/.exec(addressOf(a))?.[1]))
  let addresses = ['192.168.1.20']
  const home = await startNode({ peers: [way.address, addressOf(b)], limits, machineAddresses: () => addresses })
  await meshed(home, a)
  await meshed(home, b)
  way.die()
  await sleep(300)
  expect(way.count()).toBe(1)

  const since = b.network.peers()[0]?.connected_at
  addresses = ['192.168.1.77']
  await until(() => way.count() === 2, 'the node dials again', SOON_MS)
  await until(() => home.network.peers().some(({ peer_id }) => peer_id === a.network.peerId), 'it is connected again')
  await meshed(home, b)
  expect(b.network.peers()[0]?.connected_at).toBe(since)
})

test('a configured peer that was out of reach is dialled at once', async () => {
  let dials = 0
  const environment = { ...systemEnvironment(), timers: { after: () => () => undefined } }
  const dial = async (): Promise<never> => {
    dials += 1
    throw new Error('no route')
  }
  const parts = {
    environment: environment as never,
    logger: silent,
    dial,
    isConnected: () => false,
    onPeer: () => undefined,
  }
  const redial = createRedial(parts, [{ address: multiaddr('/ip4/9.9.9.9/tcp/1'), peer: undefined }])
  redial.start()
  await until(() => dials === 1, 'it dials')
  // Its timer never fires here.
  await sleep(50)
  redial.wake()
  await until(() => dials === 2, 'it dials again')
  redial.stop()
})
