import '../../src/platform/promise-with-resolvers.ts'

import { generateKeyPair } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import type { Libp2p, PrivateKey } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import type { TCPSocketOptions } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'

import { createFrameStream } from '../../src/network/frame-stream.ts'
import { peersProtocol } from '../../src/network/peer-exchange.ts'
import { sealPeerRecord } from '../../src/network/peer-record.ts'
import { SYNC_PROTOCOL } from '../../src/network/peer-streams.ts'
import { sleep } from '../support/until.ts'
import { stopLater } from './nodes.ts'

const PROTOCOL = peersProtocol('test')
const FRAMES = { maxFrameBytes: 1024, onInvalid: () => undefined }
const RECORDS_PER_ANSWER = 32

export interface Hostile {
  readonly libp2p: Libp2p
  readonly record: Uint8Array
  readonly address: string
  /** Connects to a node, introduces itself, and stays. Comes again whenever it is cut off, until all stop. */
  besiege(target: string): void
}

/** A peer that listens at `from`, claims to be one of us, and answers with nothing but the given records. */
export async function startHostile(from: string, lies: () => readonly Uint8Array[]): Promise<Hostile> {
  const privateKey: PrivateKey = await generateKeyPair('Ed25519')
  const libp2p = await createLibp2p({
    privateKey,
    addresses: { listen: [`/ip4/${from}/tcp/0`] },
    transports: [tcp({ dialOpts: { localAddress: from } as TCPSocketOptions })],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
    services: { identify: identify() },
  })
  const [own] = libp2p.getMultiaddrs()
  if (own === undefined) throw new Error('a hostile peer does not listen')
  const address = multiaddr(own.toString().replace(/\/p2p\/.*$/, ''))
  const record = await sealPeerRecord(privateKey, [address], BigInt(Date.now()))
  let stopped = false
  stopLater({
    stop: async () => {
      stopped = true
      await libp2p.stop()
    },
  })
  await libp2p.handle(SYNC_PROTOCOL, (stream) => stream.abort(new Error('not now')))
  await libp2p.handle(PROTOCOL, async (stream) => {
    const frames = createFrameStream(stream, FRAMES)
    try {
      for (const lie of [record, ...lies()].slice(0, RECORDS_PER_ANSWER)) await frames.send(lie)
      await frames.close()
    } catch {
      // The node broke off.
    }
  })

  async function visit(target: string): Promise<void> {
    while (!stopped) {
      try {
        const connection = await libp2p.dial(multiaddr(target))
        const frames = createFrameStream(await connection.newStream([PROTOCOL]), FRAMES)
        await frames.send(record)
        await frames.receive()
        while (connection.status === 'open' && !stopped) await sleep(500)
      } catch {
        await sleep(500)
      }
    }
  }

  return { libp2p, record, address: address.toString(), besiege: (target) => void visit(target) }
}

/** Valid records of peers that do not exist, at addresses where nobody answers, in as many networks. */
export async function inventPeers(count: number, network: (at: number) => string): Promise<Uint8Array[]> {
  return await Promise.all(
    Array.from({ length: count }, async (_, at) =>
      sealPeerRecord(await generateKeyPair('Ed25519'), [multiaddr(`/ip4/${network(at)}/tcp/9`)], BigInt(Date.now())),
    ),
  )
}
