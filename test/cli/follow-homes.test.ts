import { createServer } from 'node:http'
import type { RequestListener, Server } from 'node:http'
import type { AddressInfo } from 'node:net'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { HOMES_KEY } from '../../src/homes/homes.ts'
import type { Avatar, JsonObject } from '../../src/record/types.ts'
import { startHttpNode } from '../http/node.ts'
import type { HttpNode } from '../http/node.ts'
import { newKey, postRecords, signedPatch } from '../http/writer.ts'
import type { Written } from '../http/writer.ts'
import type { TestKey } from '../oracle/signing.ts'
import { run } from './run.ts'

let nodes: [HttpNode, HttpNode, HttpNode]
const servers: Server[] = []
beforeAll(async () => {
  nodes = [await startHttpNode(), await startHttpNode(), await startHttpNode()]
})
afterAll(async () => {
  for (const server of servers) server.close()
  await Promise.all(nodes.map((node) => node.close()))
})

const url = (node: HttpNode) => node.url('')
const MULTIADDR = '/ip4/192.0.2.7/tcp/4382'

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  servers.push(server)
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A patch that lists homes. */
function listing(key: TestKey, homes: readonly string[], after?: Written): Written {
  const prev = after === undefined ? [] : [after.citation]
  const patch = { [HOMES_KEY]: [...homes] }
  return signedPatch(key, { platform: 'nextid', identity: key.avatar, patch, prev })
}

interface Answer {
  readonly head: number
  readonly node: string
  readonly asked: { node: string; head: number | null; problem: string | null }[]
  readonly skipped: string[]
  readonly namespaces: JsonObject[]
}

async function follow(avatar: Avatar, from: string) {
  const outcome = await run(['get', avatar, '--follow-homes', '--allow-private', '--json', '--node', from], {
    cwd: '/',
  })
  return { ...outcome, answer: (outcome.out === '' ? undefined : JSON.parse(outcome.out)) as Answer }
}

describe('get --follow-homes', () => {
  it('shows the newest of all homes, found over two hops, and goes in no circles', async () => {
    const [one, two, three] = nodes
    const key = newKey()
    const first = listing(key, [url(two), url(one), MULTIADDR])
    const second = listing(key, [url(three), url(one)], first)
    const third = signedPatch(key, { prev: [second.citation], patch: { newest: true } })
    await postRecords(one, [first])
    await postRecords(two, [first, second])
    await postRecords(three, [first, second, third])
    const { code, answer, err } = await follow(key.avatar, url(one))
    expect(code).toBe(0)
    expect(answer).toMatchObject({
      head: 3,
      node: url(three),
      asked: [
        { node: url(one), head: 1, problem: null },
        { node: url(two), head: 2, problem: null },
        { node: url(three), head: 3, problem: null },
      ],
      skipped: [MULTIADDR],
    })
    expect(answer.namespaces.at(-1)).toMatchObject({ content: { newest: true } })
    expect(err).toContain(`* ${url(three)}: verified, head 3`)
    expect(err).toContain(`${MULTIADDR}: not asked`)
  })

  it('asks no home at a private address unless it is allowed', async () => {
    const key = newKey()
    await postRecords(nodes[0], [listing(key, [url(nodes[1]), 'http://localhost:1', 'http://10.0.0.1'])])
    const { out } = await run(['get', key.avatar, '--follow-homes', '--json', '--node', url(nodes[0])], { cwd: '/' })
    expect(JSON.parse(out)).toMatchObject({
      asked: [{ node: url(nodes[0]), head: 1 }],
      skipped: [url(nodes[1]), 'http://localhost:1', 'http://10.0.0.1'],
    })
  })

  it('finds the way by a node that only says where the avatar lives', async () => {
    const key = newKey()
    await postRecords(nodes[1], [signedPatch(key)])
    const body = { code: 'not_hosted', message: 'It lives elsewhere.', homes: [url(nodes[1]), 7, 'no home'] }
    const signpost = await serve((_, response) => response.writeHead(404).end(JSON.stringify(body)))
    const { code, answer } = await follow(key.avatar, signpost)
    expect(code).toBe(0)
    expect(answer).toMatchObject({ head: 1, node: url(nodes[1]) })
    expect(answer.asked.map(({ head }) => head)).toEqual([null, 1])
    expect(answer.asked[0]!.problem).toContain('not_hosted')
  })

  it('takes no word of a home that cannot show signatures, and keeps what the first node has', async () => {
    const key = newKey()
    const liar = await serve((request, response) => {
      void (async () => {
        const answer = await nodes[0].json(request.url ?? '')
        const isDocument = !(request.url ?? '').includes('/records')
        response.writeHead(answer.status, { 'content-type': 'application/json' })
        response.end(JSON.stringify(isDocument ? { ...answer.body, head: 99 } : answer.body))
      })()
    })
    await postRecords(nodes[0], [listing(key, [liar, 'http://127.0.0.1:1'])])
    const { code, answer, err } = await follow(key.avatar, url(nodes[0]))
    expect(code).toBe(0)
    expect(answer).toMatchObject({ head: 1, node: url(nodes[0]) })
    expect(answer.asked[1]!.problem).toContain('head: the node says 99')
    expect(answer.asked[2]!.problem).toContain('Cannot reach')
    expect(err).toContain('not verified')
  })

  it('asks sixteen nodes at most, and follows three hops', async () => {
    const asked: string[] = []
    const signposts = new Map<string, string[]>()
    const home = await serve((request, response) => {
      const [, name = ''] = (request.url ?? '').split('/')
      asked.push(name)
      const homes = signposts.get(name) ?? []
      response.writeHead(404).end(JSON.stringify({ code: 'not_hosted', message: 'no', homes }))
    })
    const { avatar } = newKey()
    for (const at of Array(10).keys()) signposts.set(`chain${at}`, [`${home}/chain${at + 1}`])
    const chain = await follow(avatar, `${home}/chain0`)
    expect(chain.code).toBe(1)
    expect(asked).toEqual(['chain0', 'chain1', 'chain2', 'chain3'])
    expect(chain.err).toContain(`${home}/chain3: `)

    asked.length = 0
    const names = (round: number) => Array.from({ length: 16 }, (_, at) => `${home}/wide${round}-${at}`)
    signposts.set('wide', names(0))
    for (const at of Array(16).keys()) signposts.set(`wide0-${at}`, names(1))
    expect((await follow(avatar, `${home}/wide`)).code).toBe(1)
    expect(asked).toHaveLength(16)
  })

  it('shows one namespace alone too', async () => {
    const key = newKey()
    const first = listing(key, [url(nodes[1])])
    await postRecords(nodes[0], [first])
    await postRecords(nodes[1], [first, signedPatch(key, { prev: [first.citation], patch: { a: 2 } })])
    const args = [
      'get',
      key.avatar,
      'twitter',
      'yeiwb',
      '--follow-homes',
      '--allow-private',
      '--json',
      '--node',
      url(nodes[0]),
    ]
    expect(await run(args, { cwd: '/' })).toMatchObject({ code: 0, out: '{"a":2}\n' })
  })
})
