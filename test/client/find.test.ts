import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { createClient } from '../../src/client/client.ts'
import { isPublicName } from '../../src/client/find-hosts.ts'
import { startHttpNode, type HttpNode } from '../http/node.ts'
import { newKey, postRecords, signedPatch } from '../http/writer.ts'

const HOME = 'https://home.example'
const key = newKey()
let home: HttpNode
let asked: HttpNode
beforeAll(async () => {
  home = await startHttpNode()
  asked = await startHttpNode({ homes: [HOME, 'https://10.0.0.7', 'http://home.example', 'https://printer.local'] })
  await postRecords(home, [signedPatch(key, { platform: 'nextid', identity: key.avatar, patch: { colour: 'green' } })])
})
afterAll(() => Promise.all([home.close(), asked.close()]))

/** A platform on which `HOME` resolves to the node that has the avatar. Notes every other address. */
function platform() {
  const strange: string[] = []
  const redirects: unknown[] = []
  const given: typeof fetch = async (input, init) => {
    const url = String(input)
    if (url.startsWith(asked.url(''))) return await fetch(url, init)
    if (!url.startsWith(`${HOME}/`)) strange.push(url)
    redirects.push(init?.redirect)
    return await fetch(home.url(url.slice(HOME.length)), init)
  }
  return { strange, redirects, given }
}

describe('a client whose nodes have nothing of an avatar', () => {
  it('reads it from a host that they name, verified, and from no other address', async () => {
    const { given, strange, redirects } = platform()
    const client = createClient({ nodes: [asked.url('')], fetch: given })
    const found = await client.getVerified(key.avatar)
    expect(found.namespaces).toMatchObject([{ content: { colour: 'green' } }])
    expect(found.nodes.map(({ url }) => url)).toEqual([asked.url(''), HOME])
    expect(strange).toEqual([])
    expect(new Set(redirects)).toEqual(new Set(['error']))
  })

  it('does not where the app says no, and stays with what its nodes say where hosts fail', async () => {
    const { given, redirects } = platform()
    const silent = createClient({ nodes: [asked.url('')], fetch: given, find: false })
    expect(await silent.getVerified(key.avatar)).toMatchObject({ head: 0, nodes: [{ url: asked.url('') }] })
    const client = createClient({ nodes: [asked.url('')], fetch: given })
    expect(await client.getVerified(key.avatar, { find: false })).toMatchObject({ head: 0 })
    expect(redirects).toEqual([])
    const failing: typeof fetch = async (input, init) => {
      if (String(input).startsWith(HOME)) throw new TypeError('no route')
      return await fetch(input, init)
    }
    expect(await createClient({ nodes: [asked.url('')], fetch: failing }).getVerified(key.avatar)).toMatchObject({
      head: 0,
      nodes: [{ url: asked.url('') }],
    })
  })

  it('tells where an avatar lives, with receipts that it verified', async () => {
    const client = createClient({ nodes: [home.url(''), asked.url(''), 'http://127.0.0.1:1'] })
    const { hosts, homes } = await client.find(key.avatar)
    expect(hosts).toMatchObject([{ receipt: { avatar: key.avatar, head: 1 }, toldBy: null }])
    expect(homes).toContain(HOME)
  })
})

it.each([
  ['https://node.example', true],
  ['https://node.example:8443/kv', true],
  ['http://node.example', false],
  ['https://203.0.113.7', false],
  ['https://2130706433', false],
  ['https://[2001:db8::1]', false],
  ['https://localhost', false],
  ['https://localhost.', false],
  ['https://a.localhost', false],
  ['https://router', false],
  ['https://NAS.local', false],
  ['https://x.internal', false],
  ['https://x.home.arpa', false],
])('%s may be asked on a stranger’s word: %j', (url, may) => {
  expect(isPublicName(url)).toBe(may)
})
