import { createServer } from 'node:http'
import type { IncomingMessage, RequestListener, Server } from 'node:http'
import { afterEach, describe, expect, test } from 'vitest'
import { createPullGuard, PullError } from '../../src/hosting/pull-guard.ts'
import type { PullGuardOptions } from '../../src/hosting/pull-guard.ts'

/** Stands for the public internet: loopback has many addresses. All others of it stand for the operator's own network. */
const PUBLIC = '127.0.0.1'
const INNER = '127.0.0.2'

const servers: Server[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

async function serve(
  host: string,
  answer: RequestListener,
  port = 0,
): Promise<{ port: number; requests: IncomingMessage[] }> {
  const requests: IncomingMessage[] = []
  const server = createServer((request, response) => {
    requests.push(request)
    answer(request, response)
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(port, host, resolve))
  const address = server.address()
  return { port: typeof address === 'object' ? (address?.port ?? 0) : 0, requests }
}

const hello: RequestListener = (_, response) => void response.end('hello')

function guardOf(names: Record<string, readonly (readonly string[])[]>, options: Partial<PullGuardOptions> = {}) {
  const asked: string[] = []
  const guard = createPullGuard({
    allowPrivate: false,
    isPublic: (address) => address === PUBLIC,
    async resolve(host) {
      const answers = names[host]
      if (answers === undefined) throw new Error(`no such name: ${host}`)
      const answer = answers[Math.min(asked.filter((each) => each === host).length, answers.length - 1)] ?? []
      asked.push(host)
      return answer.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
    },
    ...options,
  })
  return { guard, asked }
}

async function textOf(answer: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of answer) text += String(chunk)
  return text
}

const signal = () => AbortSignal.timeout(60_000)

async function failure(run: Promise<unknown>): Promise<PullError> {
  const error = await run.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error instanceof PullError) return error
  throw new Error('no PullError', { cause: error })
}

describe('an address that is refused before anything is sent', () => {
  test.each([
    ['another scheme', 'file:///etc/passwd'],
    ['another scheme', 'ftp://public.test/x'],
    ['another scheme', 'gopher://public.test/x'],
    ['no address', 'public.test'],
    ['a user name', 'http://user@public.test/'],
    ['a password', 'http://:secret@public.test/'],
    ['a port of another protocol', 'http://public.test:25/'],
    ['a port of another protocol', 'https://public.test:22/'],
    ['loopback', 'http://127.0.0.1/'],
    ['loopback, in one number', 'http://2130706433/'],
    ['loopback, in octal', 'http://0177.0.0.1/'],
    ['loopback, in hexadecimal', 'http://0x7f.1/'],
    ['loopback, short', 'http://127.1/'],
    ['loopback, full-width digits', 'http://１２７.０.０.１/'],
    ['IPv6 loopback', 'http://[::1]:8080/'],
    ['mapped', 'http://[::ffff:10.0.0.1]/'],
    ['NAT64', 'http://[64:ff9b::7f00:1]/'],
    ['metadata', 'http://169.254.169.254/latest/meta-data/'],
    ['private', 'https://192.168.1.1/'],
  ])('%s: %s', async (_, url) => {
    const guard = createPullGuard({ allowPrivate: false, resolve: () => Promise.reject(new Error('asked')) })
    expect(() => guard.check(url)).toThrow(expect.objectContaining({ code: 'pull_address_refused' }))
    expect((await failure(guard.get(url, signal()))).code).toBe('address_refused')
  })
})

describe('a name', () => {
  test('is asked for once, and what it then says is where the connection goes', async () => {
    const { port, requests } = await serve(PUBLIC, hello)
    const inner = await serve(INNER, hello, port)
    // A resolver that says something else the second time: DNS rebinding.
    const { guard, asked } = guardOf({ 'public.test': [[PUBLIC], [INNER]] })
    expect(await textOf(await guard.get(`http://public.test:${port}/a?b=c`, signal()))).toBe('hello')
    expect(asked).toEqual(['public.test'])
    expect(requests.map(({ url, headers }) => [url, headers.host])).toEqual([['/a?b=c', `public.test:${port}`]])
    expect(requests[0]?.headers).not.toHaveProperty('authorization')
    expect(requests[0]?.headers).not.toHaveProperty('cookie')
    // The second answer is looked at as the first one was.
    expect((await failure(guard.get(`http://public.test:${port}/`, signal()))).code).toBe('address_refused')
    expect(inner.requests).toHaveLength(0)
  })

  test('of which one address is not public is refused, in whatever order they come', async () => {
    const { port, requests } = await serve(PUBLIC, hello)
    const inner = await serve(INNER, hello, port)
    const { guard } = guardOf({
      'first.test': [[PUBLIC, INNER]],
      'last.test': [[INNER, PUBLIC]],
      'v6.test': [[PUBLIC, '::1']],
    })
    for (const name of ['first.test', 'last.test', 'v6.test']) {
      expect((await failure(guard.get(`http://${name}:${port}/`, signal()))).code).toBe('address_refused')
    }
    expect([...requests, ...inner.requests]).toHaveLength(0)
  })

  test.each([
    ['that nobody knows', undefined],
    ['without an address', [[]]],
    ['with what is no address', [['public.test']]],
    ['with a thousand addresses', [Array<string>(1_000).fill(PUBLIC)]],
  ])('%s is unreachable', async (_, answers) => {
    const { guard } = guardOf(answers === undefined ? {} : { 'odd.test': answers })
    expect((await failure(guard.get('http://odd.test:4381/', signal()))).code).toBe('unreachable')
  })
})

describe('a redirect', () => {
  const redirect = (to: string, status = 302): RequestListener => {
    return (_, response) => void response.writeHead(status, { location: to }).end()
  }

  test.each([301, 302, 303, 307, 308])('%s is followed, up to three', async (status) => {
    const target = await serve(PUBLIC, hello)
    const hops = await serve(PUBLIC, (request, response) => {
      const count = Number(request.url?.slice(1))
      redirect(count === 0 ? `http://public.test:${target.port}/` : `/${count - 1}`, status)(request, response)
    })
    const { guard } = guardOf({ 'public.test': [[PUBLIC]] })
    expect(await textOf(await guard.get(`http://public.test:${hops.port}/2`, signal()))).toBe('hello')
    expect((await failure(guard.get(`http://public.test:${hops.port}/3`, signal()))).code).toBe('bad_answer')
  })

  test('to what is not public is not', async () => {
    const inner = await serve(INNER, hello)
    const places = [
      `http://${INNER}:${inner.port}/`,
      `http://inner.test:${inner.port}/`,
      'http://169.254.169.254/',
      'file:///etc/passwd',
      `http://user:secret@public.test/`,
    ]
    for (const place of places) {
      const { port } = await serve(PUBLIC, redirect(place))
      const { guard } = guardOf({ 'public.test': [[PUBLIC]], 'inner.test': [[INNER]] })
      expect([place, (await failure(guard.get(`http://public.test:${port}/`, signal()))).code]).toEqual([
        place,
        'address_refused',
      ])
    }
    expect(inner.requests).toHaveLength(0)
  })

  test('asks for a name anew', async () => {
    const inner = await serve(INNER, hello)
    const { port } = await serve(PUBLIC, redirect(`http://public.test:${inner.port}/`))
    const { guard, asked } = guardOf({ 'public.test': [[PUBLIC], [INNER]] })
    expect((await failure(guard.get(`http://public.test:${port}/`, signal()))).code).toBe('address_refused')
    expect(asked).toEqual(['public.test', 'public.test'])
    expect(inner.requests).toHaveLength(0)
  })

  test('to nowhere, and any other answer than 200, is a bad answer', async () => {
    const { guard } = guardOf({ 'public.test': [[PUBLIC]] })
    for (const status of [204, 302, 404, 500]) {
      const { port } = await serve(PUBLIC, (_, response) => void response.writeHead(status).end('x'))
      expect((await failure(guard.get(`http://public.test:${port}/`, signal()))).code).toBe('bad_answer')
    }
  })
})

test('who hangs up, sends endless headers or never answers is unreachable', async () => {
  const { guard } = guardOf({ 'public.test': [[PUBLIC]] })
  const rude = await serve(PUBLIC, (request) => void request.socket.destroy())
  const long = await serve(PUBLIC, (_, response) => void response.writeHead(200, { x: 'x'.repeat(20_000) }).end())
  const silent = await serve(PUBLIC, () => undefined)
  for (const { port } of [rude, long]) {
    expect((await failure(guard.get(`http://public.test:${port}/`, signal()))).code).toBe('unreachable')
  }
  expect((await failure(guard.get(`http://public.test:${silent.port}/`, AbortSignal.timeout(100)))).code).toBe(
    'unreachable',
  )
})

test('an operator may allow all of it', async () => {
  const { port } = await serve(INNER, hello)
  const guard = createPullGuard({ allowPrivate: true })
  guard.check(`http://${INNER}:${port}/`)
  expect(await textOf(await guard.get(`http://${INNER}:${port}/`, signal()))).toBe('hello')
  expect(() => guard.check(`file:///etc/passwd`)).toThrow('http:// or https://')
})
