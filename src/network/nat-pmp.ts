/**
 * Asks a router by NAT-PMP (RFC 6886) to forward a port. Our own 100 lines: @achingbrain/nat-port-mapper 4 ends the process on a short packet, or if its port is
 * taken, and states seconds in milliseconds.
 */
import { createSocket } from 'node:dgram'
import { readFile } from 'node:fs/promises'

import { NetworkError } from './errors.ts'
import { ANSWER_MS, FORWARD_SECONDS } from './router.ts'
import type { Router } from './router.ts'

const SERVER_PORT = 5351
const OP_EXTERNAL_IP = 0
const OP_MAP_TCP = 2
const ANSWER_BIT = 128
const FIRST_RETRY_MS = 250
/** RFC 6886, section 3.5. */
const PROBLEMS: Readonly<Record<number, string>> = {
  1: 'it speaks another version',
  2: 'not authorised: forwarding may be switched off',
  3: 'it has no address itself',
  4: 'it has no more room',
  5: 'it does not know that request',
}

/** The router at an address. */
export function natPmpRouter(address: string): Router {
  async function map(port: number, seconds: number): Promise<number> {
    const request = Buffer.alloc(12)
    request.writeUInt8(OP_MAP_TCP, 1)
    request.writeUInt16BE(port, 4)
    request.writeUInt16BE(seconds === 0 ? 0 : port, 6)
    request.writeUInt32BE(seconds, 8)
    return (await ask(address, request, 16)).readUInt16BE(10)
  }
  return {
    speaks: 'NAT-PMP',
    async externalIp() {
      const answer = await ask(address, Buffer.from([0, OP_EXTERNAL_IP]), 12)
      return answer.subarray(8, 12).join('.')
    },
    forward: (port) => map(port, FORWARD_SECONDS),
    release: async (port) => void (await map(port, 0)),
  }
}

/** Sends a request until an answer comes: UDP loses packets. */
function ask(address: string, request: Buffer, bytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4')
    let waitMs = FIRST_RETRY_MS
    let retry: ReturnType<typeof setTimeout> | undefined
    const end = (outcome: () => void): void => {
      clearTimeout(retry)
      clearTimeout(late)
      socket.close()
      outcome()
    }
    const late = setTimeout(() => end(() => reject(new Error('The router does not answer.'))), ANSWER_MS)
    const send = (): void => {
      socket.send(request, () => undefined)
      retry = setTimeout(send, waitMs)
      waitMs *= 2
    }
    socket.on('error', (error) => end(() => reject(error)))
    socket.on('message', (answer) => {
      if (answer.length < 4 || answer.readUInt8(1) !== (request.readUInt8(1) | ANSWER_BIT)) return
      const result = answer.readUInt16BE(2)
      if (result === 0 && answer.length >= bytes) return end(() => resolve(answer))
      const why = PROBLEMS[result] ?? `result ${result}`
      if (result !== 0) end(() => reject(new NetworkError('router_refused', `The router refused: ${why}.`)))
    })
    // Connected, so that only the router is heard.
    socket.connect(SERVER_PORT, address, send)
  })
}

/** Bits of the flags of a route: it is up, and it leads to a gateway. */
const ROUTE_TO_GATEWAY = 3

/** The address of this machine's router; undefined if the system does not tell it by this file, which Linux has. */
export async function defaultGateway(): Promise<string | undefined> {
  const table = await readFile('/proc/net/route', 'utf8').catch(() => '')
  for (const line of table.split('\n').slice(1)) {
    const [, destination, gateway = '', flags = ''] = line.split('\t')
    if (destination !== '00000000' || (Number.parseInt(flags, 16) & ROUTE_TO_GATEWAY) !== ROUTE_TO_GATEWAY) continue
    // In the order of bytes of the machine, which is that of all machines on which Node.js runs under Linux but s390x.
    return Buffer.from(gateway, 'hex').toReversed().join('.')
  }
  return undefined
}
