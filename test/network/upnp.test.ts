import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import { afterEach, expect, test } from 'vitest'

import { upnpRouterAt } from '../../src/network/upnp.ts'
import { until } from '../support/until.ts'

/** What a real router does is shown by test/nat/router.test.ts. These devices misbehave, or answer what miniupnpd does not. */
const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

async function device(
  answer: (request: IncomingMessage, body: string, response: ServerResponse) => void,
): Promise<URL> {
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const piece of request.setEncoding('utf8')) body += String(piece)
    answer(request, body, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closers.push(() => {
    server.close()
    server.closeAllConnections()
  })
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/desc.xml`)
}

const described = (control: string, type = 'urn:schemas-upnp-org:service:WANIPConnection:1'): string =>
  `<root><service><serviceType>${type}</serviceType><controlURL>${control}</controlURL></service></root>`
const failure = (code: number, text: string): string =>
  `<s:Fault><UPnPError><errorCode>${code}</errorCode><errorDescription>${text}</errorDescription></UPnPError></s:Fault>`

/** A device that answers calls of its service by a function of the values in the call. */
async function router(call: (values: Readonly<Record<string, string>>) => readonly [status: number, text: string]) {
  const calls: Record<string, string>[] = []
  const location = await device((request, body, response) => {
    if (request.method === 'GET') return void response.end(described('/control'))
    const values = Object.fromEntries(
      [...body.matchAll(/<(New\w+)>([^<]*)</g)].map(([, name = '', value = '']) => [name, value]),
    )
    calls.push(values)
    const [status, text] = call(values)
    response.writeHead(status).end(text)
  })
  const found = await upnpRouterAt(location, '192.168.1.20')
  if (found === undefined) throw new Error('the device is a router')
  return { found, calls }
}

test.each([
  ['a control address on another machine', described('http://127.0.0.2:80/control')],
  ['a control address by another protocol', described('file:///etc/passwd')],
  ['no service that forwards ports', described('/control', 'urn:schemas-upnp-org:service:Layer3Forwarding:1')],
  ['no description', 'hello'],
])('a device with %s is no router', async (_, description) => {
  const location = await device((_request, _body, response) => response.end(description))
  expect(await upnpRouterAt(location, '192.168.1.20')).toBeUndefined()
})

test('a description without an end is not read to the end', async () => {
  let sent = 0
  let isClosed = false
  const location = await device((_request, _body, response) => {
    response.on('close', () => (isClosed = true))
    const more = (): void => {
      if (isClosed) return
      sent += 16_384
      response.write('x'.repeat(16_384), () => setImmediate(more))
    }
    more()
  })
  await expect(upnpRouterAt(location, '192.168.1.20')).rejects.toThrow('too large')
  await until(() => isClosed, 'the connection is closed')
  // What the system had already taken is more than the node read.
  expect(sent).toBeLessThan(33_554_432)
})

test('a redirection is not followed', async () => {
  let asked = 0
  const elsewhere = await device((_request, _body, response) => {
    asked += 1
    response.end(described('/control'))
  })
  const location = await device((_request, _body, response) =>
    response.writeHead(302, { location: elsewhere.href }).end(),
  )
  await expect(upnpRouterAt(location, '192.168.1.20')).rejects.toThrow('302')
  expect(asked).toBe(0)
})

test('if another machine has the port, the router is asked for another one, which is kept and given back', async () => {
  const { found, calls } = await router(({ NewExternalPort: port }) =>
    port === '4382' ? [500, failure(718, 'ConflictInMappingEntry')] : [200, '<ok/>'],
  )
  const port = await found.forward(4382)
  expect(port).toBeGreaterThanOrEqual(1024)
  expect(port).not.toBe(4382)
  expect(await found.forward(4382)).toBe(port)
  await found.release(4382)
  expect(calls.map(({ NewExternalPort }) => Number(NewExternalPort))).toEqual([4382, port, port, port])
  expect(calls[1]).toMatchObject({
    NewInternalPort: '4382',
    NewInternalClient: '192.168.1.20',
    NewLeaseDuration: '3600',
  })
})

test('a router that knows no time limits is asked without one', async () => {
  const { found, calls } = await router(({ NewLeaseDuration: seconds }) =>
    seconds === '0' ? [200, '<ok/>'] : [500, failure(725, 'OnlyPermanentLeasesSupported')],
  )
  expect(await found.forward(4382)).toBe(4382)
  expect(calls.map(({ NewLeaseDuration }) => NewLeaseDuration)).toEqual(['3600', '0'])
})

test('a refusal is told in the words of the router, shortened', async () => {
  const { found } = await router(() => [500, failure(606, `Action not authorized ${'x'.repeat(10_000)}`)])
  const error = (await found.forward(4382).catch((reason: unknown) => reason)) as Error
  expect(error).toMatchObject({ code: 'router_refused', message: expect.stringContaining('606 Action not authorized') })
  expect(error.message.length).toBeLessThan(150)
})
