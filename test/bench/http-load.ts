import { connect } from 'node:net'

const HEADERS_END = Buffer.from('\r\n\r\n')

export interface LoadResult {
  readonly seconds: number
  readonly bodies: readonly string[]
  /** Milliseconds from the request's last byte handed over to the answer's last byte, one a request. */
  readonly latencies: readonly number[]
}

/** A request that can be sent as it is. */
export function postRequest(path: string, body: string): Buffer {
  const length = Buffer.byteLength(body)
  const head = `POST ${path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`
  return Buffer.from(head + body)
}

export function getRequest(path: string): Buffer {
  return Buffer.from(`GET ${path} HTTP/1.1\r\nhost: bench\r\n\r\n`)
}

/**
 * Sends each list of requests over a connection of its own, one after the other's answer, all connections at once. As
 * little work as possible is done here, since the client shares the machine with what is measured.
 *
 * @throws Error on any answer other than 200
 */
export async function drive(port: number, connections: readonly (readonly Buffer[])[]): Promise<LoadResult> {
  const bodies: string[] = []
  const latencies: number[] = []
  const start = performance.now()
  await Promise.all(connections.map((requests) => driveOne(port, requests, bodies, latencies)))
  return { seconds: (performance.now() - start) / 1000, bodies, latencies }
}

async function driveOne(
  port: number,
  requests: readonly Buffer[],
  bodies: string[],
  latencies: number[],
): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await new Promise<void>((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0)
    let sent = 0
    let sentAt = 0
    const send = () => {
      const request = requests[sent++]
      if (request === undefined) return resolve()
      sentAt = performance.now()
      socket.write(request)
    }
    socket.once('connect', send)
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('The node closed the connection.')))
    socket.on('data', (chunk) => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
      const headersEnd = received.indexOf(HEADERS_END)
      if (headersEnd < 0) return
      const head = received.subarray(0, headersEnd).toString('latin1')
      const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1]
      if (length === undefined) return reject(new Error(`An answer without a length: ${head}`))
      const bodyStart = headersEnd + HEADERS_END.length
      if (received.length < bodyStart + Number(length)) return
      const body = received.subarray(bodyStart).toString('utf8')
      if (!head.startsWith('HTTP/1.1 200')) return reject(new Error(`${head.split('\r\n')[0]}: ${body}`))
      latencies.push(performance.now() - sentAt)
      bodies.push(body)
      received = Buffer.alloc(0)
      send()
    })
  })
  socket.removeAllListeners('close')
  socket.destroy()
}
