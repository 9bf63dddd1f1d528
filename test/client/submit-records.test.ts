import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'

import { createNodeApi } from '../../src/client/node-api.ts'
import { fetchFor } from '../../src/client/platform.ts'
import { submitAll } from '../../src/client/submit-records.ts'

const MIB = 1024 * 1024
const nodeAt = (url: string) => createNodeApi(url, { ...fetchFor(undefined), timeoutMs: 15_000, signal: undefined })

const ONE = [{ payload: 'a', signature: '0x' }]

let server: Server | undefined
afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

/** A node that notes the payloads of each request, and is busy the first `busy` times. */
async function startNode(busy: number): Promise<{ url: string; requests: string[][] }> {
  const requests: string[][] = []
  let refusals = busy
  server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      if (refusals-- > 0) {
        response.writeHead(503, { 'retry-after': '0' }).end('{"code":"busy","message":"later"}')
        return
      }
      const { records } = JSON.parse(Buffer.concat(chunks).toString()) as { records: { payload: string }[] }
      requests.push(records.map(({ payload }) => payload.slice(0, 10)))
      response.end(JSON.stringify({ results: records.map(() => ({ id: null, status: 'stored' })) }))
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests }
}

describe('submitAll', () => {
  it('sends records in their order, in requests of at most 500 and 4 MiB', async () => {
    const { url, requests } = await startNode(0)
    const small = Array.from({ length: 1100 }, (_, index) => ({ payload: `s${index}`, signature: '0x' }))
    // Quotes double in JSON, so that four of these and a few bytes are more than 4 MiB.
    const large = Array.from({ length: 5 }, (_, index) => ({
      payload: `l${index}`.padEnd(MIB / 2, '"'),
      signature: '0x',
    }))
    const sent: number[] = []
    const answers = await submitAll(nodeAt(url), [...small, ...large], { onSent: (count) => sent.push(count) })
    expect(answers).toHaveLength(1105)
    expect(requests.flat()).toEqual([...small, ...large].map(({ payload }) => payload.slice(0, 10)))
    expect(requests.map((each) => each.length)).toEqual([500, 500, 103, 2])
    expect(sent).toEqual([500, 1000, 1103])
  })

  it('waits for a busy node, but not for ever', async () => {
    const { url, requests } = await startNode(19)
    await submitAll(nodeAt(url), ONE, { waits: true })
    expect(requests).toEqual([['a']])
    server?.close()
    const always = await startNode(20)
    await expect(submitAll(nodeAt(always.url), ONE, { waits: true })).rejects.toThrow('busy')
    expect(always.requests).toEqual([])
  })

  it('leaves it to the caller to wait, where it does not ask for it', async () => {
    const { url, requests } = await startNode(1)
    await expect(submitAll(nodeAt(url), ONE)).rejects.toMatchObject({ code: 'refused', status: 503 })
    expect(requests).toEqual([])
  })
})
