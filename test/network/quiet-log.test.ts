import { connect } from 'node:net'
import { afterEach, expect, test } from 'vitest'

import { defaultNetworkLimits } from '../../src/network/limits.ts'
import { withLength } from '../../src/network/frame-reader.ts'
import { MAX_SYNC_FRAME_BYTES, SYNC_PROTOCOL } from '../../src/network/peer-streams.ts'
import { encodeBatch } from '../../src/record/codec.ts'
import { until } from '../support/until.ts'
import { record, recordingLogger, startNode, stopAll } from './nodes.ts'
import { startStranger } from './stranger.ts'

afterEach(stopAll)

test('strangers that break rules cause no log line at info or above, and are counted', async () => {
  const { logger, lines } = recordingLogger('info')
  const validation = { ...defaultNetworkLimits.validation, timeoutMs: 50 }
  const node = await startNode({ logger, limits: { validation } })
  const received: Promise<unknown>[] = []
  node.network.sync.listen({
    stream: (_peer, stream) => received.push(stream.receive().catch((error: unknown) => error)),
    connected: () => {},
    disconnected: () => {},
  })

  const slow = await startStranger(node)
  for (let number = 1; number <= 3; number += 1) await slow.send(encodeBatch([record(`hang:${number}`)]))
  for (let number = 1; number <= 3; number += 1) await slow.send(encodeBatch([record(`throw:${number}`)]))
  const malformed = await startStranger(node)
  for (let number = 1; number <= 3; number += 1) await malformed.send(Uint8Array.of(0xff, number))

  const liar = await startStranger(node)
  for (let count = 1; count <= 3; count += 1) {
    const stream = await liar.libp2p.getConnections()[0]!.newStream([SYNC_PROTOCOL])
    stream.send(withLength(new Uint8Array(MAX_SYNC_FRAME_BYTES + 1)).subarray(0, 4))
    await until(() => received.length === count, 'the node has the stream')
    await received.at(-1)
  }
  await until(() => liar.libp2p.getConnections().length === 0, 'the liar is cut off')

  const { port } = new URL(
    `tcp://${node.network.addresses()[0]!.split('/').slice(2, 5).join('/').replace('/tcp/', ':')}`,
  )
  for (const bytes of [Buffer.alloc(64, 0xff), Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.alloc(4096)]) {
    const socket = connect(Number(port), '127.0.0.1', () => socket.end(bytes))
    socket.resume()
    await new Promise<void>((resolve) => socket.once('close', () => resolve()).on('error', () => {}))
  }

  await expect
    .poll(async () => (await node.metrics.expose()).text.match(/^avatar_kv_strangers_total.*$/gm))
    .toEqual(
      expect.arrayContaining([
        'avatar_kv_strangers_total{part="network",kind="gossip_timeout"} 3',
        'avatar_kv_strangers_total{part="network",kind="gossip_failed"} 3',
        'avatar_kv_strangers_total{part="sync",kind="frame_invalid"} 3',
        'avatar_kv_strangers_total{part="sync",kind="cut_off"} 1',
      ]),
    )
  expect(lines).toEqual([])
})
