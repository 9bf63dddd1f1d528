import { execFile, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { createCluster } from '../integration/cluster.ts'
import { createWriter } from '../integration/writer.ts'
import type { Bench } from './report.ts'

const BODY_BYTES = 1_024
const CONNECTIONS = 32
const SECONDS = 5
const WARM_UP_SECONDS = 1

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

      const bareRate = await load(`http://127.0.0.1:${port}/`)
      const nodeRate = await load(`${node.url}/v2/avatars/${writer.avatar}`)
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

/** Requests a second as autocannon, in a process of its own, counts them. */
async function load(url: string): Promise<number> {
  const run = async (seconds: number) => {
    const args = ['node_modules/autocannon/autocannon.js', '--json', '-c', `${CONNECTIONS}`, '-d', `${seconds}`, url]
    const { stdout } = await promisify(execFile)(process.execPath, args)
    return JSON.parse(stdout) as { requests: { average: number }; non2xx: number; errors: number }
  }
  await run(WARM_UP_SECONDS)
  const result = await run(SECONDS)
  if (result.non2xx > 0 || result.errors > 0)
    throw new Error(`${url}: ${result.non2xx} not 2xx, ${result.errors} errors`)
  return result.requests.average
}
