import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { privateKeySigner } from '../../src/client/signers.ts'
import { openReplica } from '../../src/replica/index.ts'
import { MemoryLevel } from 'memory-level'
import { startHttpNode, type HttpNode } from '../http/node.ts'
import { newKey } from '../support/keys.ts'
import { WAIT } from '../support/until.ts'

let node: HttpNode
beforeAll(async () => void (node = await startHttpNode()))
afterAll(async () => await node.close())
afterEach(() => vi.unstubAllGlobals())

/** As React Native's: an answer comes when all of it is there, and has no body that streams. */
const nativeFetch: typeof fetch = async (...args) => {
  const response = await fetch(...args)
  const text = await response.text()
  const { status, headers } = response
  return { status, headers, body: undefined, text: () => Promise.resolve(text) } as unknown as Response
}

describe('a fetch without streams', () => {
  it('reads and writes', async () => {
    const signer = privateKeySigner(newKey())
    const client = createClient({ nodes: [node.url('')], fetch: nativeFetch })
    expect(await client.put({ signer, patch: { n: 1 } })).toMatchObject({ status: 'stored' })
    expect(await client.getVerified(signer.avatar)).toMatchObject({
      state: 'verified',
      namespaces: [{ content: { n: 1 } }],
    })
    expect(await client.get(signer.avatar)).toMatchObject({ head: 1 })
  })

  it('says at once that it cannot follow events, and what to do', async () => {
    const client = createClient({ nodes: [node.url('')], fetch: nativeFetch })
    const watching = client.watch(privateKeySigner(newKey()).avatar)[Symbol.asyncIterator]()
    await expect(watching.next()).rejects.toMatchObject({
      name: 'ClientError',
      code: 'unsupported',
      message: expect.stringContaining('expo/fetch') as string,
    })
  })

  it('lets the replica poll', async () => {
    const signer = privateKeySigner(newKey())
    await createClient({ nodes: [node.url('')] }).put({ signer, patch: { n: 1 } })
    const db = new MemoryLevel<string, string>()
    const replica = await openReplica({ db, nodes: [node.url('')], avatars: [signer.avatar], fetch: nativeFetch })
    await vi.waitFor(() => expect(replica.get(signer.avatar)).toEqual({ n: 1 }), WAIT)
    await vi.waitFor(() => expect(replica.info(signer.avatar).staleSince).toBeNull(), WAIT)
    await replica.close()
  })

  it('takes no answer that is longer than nodes give', async () => {
    const endless: typeof fetch = () =>
      Promise.resolve({
        status: 200,
        headers: new Headers(),
        body: undefined,
        text: () => Promise.resolve('1'.repeat(64 * 1024 * 1024 + 1)),
      } as unknown as Response)
    const client = createClient({ nodes: [node.url('')], fetch: endless })
    await expect(client.get(privateKeySigner(newKey()).avatar)).rejects.toMatchObject({
      code: 'answer_too_large',
      message: expect.stringContaining('page by page from /v2/avatars/{avatar}/records') as string,
    })
  })
})

it.each(['fetch', 'TextDecoder', 'structuredClone', 'AbortController'])('a platform without %s is told so', (name) => {
  vi.stubGlobal(name, undefined)
  expect(() => createClient({ nodes: ['http://127.0.0.1:1'] })).toThrow(
    expect.objectContaining({ code: 'unsupported', message: expect.stringContaining(name) as string }) as Error,
  )
})
