import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

import type { NodeProcess } from '../support/cluster.ts'

/** Stands in front of a node, for HTTP and for peers, and passes every byte on. */
export interface CountingRelay {
  readonly url: string
  readonly address: string
  close(): Promise<void>
}

/** @param passed told of bytes, whichever way they go */
export async function createRelay(node: NodeProcess, passed: (bytes: number) => void): Promise<CountingRelay> {
  const [, , host = '', , port = '', ...rest] = node.address.split('/')
  const http = await relayTo(Number(new URL(node.url).port), passed)
  const peers = await relayTo(Number(port), passed)
  return {
    url: `http://127.0.0.1:${http.port}`,
    address: ['', 'ip4', host, 'tcp', peers.port, ...rest].join('/'),
    async close() {
      await Promise.all([http.close(), peers.close()])
    },
  }
}

async function relayTo(
  port: number,
  passed: (bytes: number) => void,
): Promise<{ port: number; close: () => Promise<void> }> {
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      from.on('data', (chunk) => passed(chunk.length))
      from.on('error', () => to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
      from.pipe(to)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
