import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { createCluster } from '../support/cluster.ts'
import { createWriter } from '../support/writer.ts'
import { drive, getRequest } from './http-load.ts'
import { median } from './report.ts'
import type { Bench } from './report.ts'

const BODY_BYTES = 1_024
const CONNECTIONS = 32
const REQUESTS = 40_000
/** The two take turns, so that both meet the same machine; the first turn of each warms up. */
const TURNS = 6

/** The least that node:http can do: the same bytes from memory. */
const BARE_SERVER = `
import { createServer } from 'node:http'
const body = Buffer.from(process.argv[1], 'base64')
const headers = { 'content-type': 'application/json; charset=utf-8', 'content-length': body.length }
const server = createServer((request, response) => response.writeHead(200, headers).end(body))
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
`

export const reads: Bench = {
  name: 'reads',
  about: `GET of an avatar of ${BODY_BYTES} bytes, ${CONNECTIONS} connections, beside bare node:http with the same bytes`,
  async run() {
    const cluster = await createCluster()
    let bare: ChildProcess | undefined
    try {
      const node = await cluster.start('reads')
      const writer = createWriter('reads')
      const write = async (padding: number) => {
        await node.api.write([writer.write({ padding: 'x'.repeat(padding) })])
        return await node.api.avatarText(writer.avatar)
      }
      const body = await write(BODY_BYTES - Buffer.byteLength(await write(0)))

      bare = spawn(process.execPath, ['--input-type=module', '-e', BARE_SERVER, Buffer.from(body).toString('base64')], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      if (!bare.stdout) throw new Error('The bare server has no output.')
      const [port] = (await once(createInterface(bare.stdout), 'line')) as [string]

      const targets = [
        { port: Number(port), path: '/', rates: new Array<number>() },
        { port: Number(new URL(node.url).port), path: `/v2/avatars/${writer.avatar}`, rates: new Array<number>() },
      ]
      for (let turn = 0; turn < TURNS; turn++) {
        for (const { port: at, path, rates } of targets) rates.push(await readRate(at, path, body))
      }
      const [bareRate = Number.NaN, nodeRate = Number.NaN] = targets.map(({ rates }) => median(rates.slice(1)))
      return [
        { measure: 'body', value: Buffer.byteLength(body), unit: 'bytes' },
        { measure: 'bare node:http', value: bareRate, unit: 'reads/s' },
        { measure: 'GET /v2/avatars/{avatar}', value: nodeRate, unit: 'reads/s' },
        { measure: 'ratio', value: nodeRate / bareRate, unit: 'ratio' },
      ]
    } finally {
      bare?.kill('SIGKILL')
      await cluster.close()
    }
  },
}

/** Reads a second over connections that each wait for one answer at a time. */
async function readRate(port: number, path: string, expected: string): Promise<number> {
  const request = getRequest(path)
  const each = Array.from({ length: Math.ceil(REQUESTS / CONNECTIONS) }, () => request)
  const { seconds, bodies } = await drive(
    port,
    Array.from({ length: CONNECTIONS }, () => each),
  )
  if (bodies.some((body) => body !== expected)) throw new Error(`Port ${port} sent something else.`)
  return bodies.length / seconds
}
