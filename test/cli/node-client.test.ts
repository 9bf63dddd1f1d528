import { once } from 'node:events'
import { createServer } from 'node:http'
import type { RequestListener, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'

import { CliError } from '../../src/cli/lib/errors.ts'
import { createNodeClient } from '../../src/cli/lib/node-client.ts'
import type { NodeClient } from '../../src/cli/lib/node-client.ts'
import { parseAvatar } from '../../src/record/keys.ts'

const AVATAR = parseAvatar('0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798')
const TIMEOUT_MS = 300

let server: Server | undefined
afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

async function clientOf(listener: RequestListener, path = ''): Promise<NodeClient> {
  server = createServer(listener)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  return createNodeClient(`http://127.0.0.1:${port}${path}`, { timeoutMs: TIMEOUT_MS })
}

async function refusal(work: Promise<unknown>): Promise<CliError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error instanceof CliError) return error
  throw new Error('it was not refused with a CliError', { cause: error })
}

const answering =
  (status: number, body: string): RequestListener =>
  (_, response) => {
    response.writeHead(status).end(body)
  }

describe('createNodeClient', () => {
  it('gives up on a node that does not answer, or does not come to an end', async () => {
    const silent = await refusal((await clientOf(() => undefined)).status())
    expect(silent).toMatchObject({ code: 'unreachable' })
    expect(silent.message).toContain('0.3 s')
    const endless = await clientOf((_, response) => void response.write('{"version":'))
    expect(await refusal(endless.status())).toMatchObject({ code: 'unreachable' })
  })

  it('stops reading an answer that is too long', async () => {
    const client = await clientOf(answering(500, 'x'.repeat(100_000)))
    const { message } = await refusal(client.status())
    expect(message).toContain('longer than 65536 bytes')
    expect(message).toContain('avatar-kv export')
  })

  it.each([
    ['other JSON', '{"hello":"world"}'],
    ['a list', '[]'],
    ['no JSON', 'hello'],
    ['deep nesting', `{"version":${'['.repeat(100_000)}${']'.repeat(100_000)}}`],
    [
      'a number that is none',
      '{"version":"1","network":"main","peer_id":"a","addresses":[],"peers":-1,"avatars":0,"records":0}',
    ],
  ])('refuses %s as a status', async (_, body) => {
    const error = await refusal((await clientOf(answering(200, body))).status())
    expect(error.code).toBe('refused')
    expect(error.message).toContain('not what an avatar-kv node answers')
    expect(error.message.length).toBeLessThan(500)
  })

  it('tells an unknown avatar from an unknown address', async () => {
    const unknown = await clientOf(answering(404, '{"code":"unknown_avatar","message":"No."}'))
    expect(await unknown.avatar(AVATAR)).toBeUndefined()
    const elsewhere = await clientOf(answering(404, '{"code":"not_found","message":"No such \\u001b[2J page."}'))
    expect((await refusal(elsewhere.avatar(AVATAR))).message).toContain('not_found: No such \\u001b[2J page.')
  })

  it('keeps the path of the address and encodes names', async () => {
    const asked: (string | undefined)[] = []
    const client = await clientOf((request, response) => {
      asked.push(request.url)
      response.end('{}')
    }, '/kv/')
    await client.content(AVATAR, 'twitter', 'a/b?c d')
    expect(asked).toEqual([`/kv/v2/avatars/${AVATAR}/content?platform=twitter&identity=a%2Fb%3Fc+d`])
  })

  it('says when the store began anew', async () => {
    const client = await clientOf(answering(410, '{"code":"cursor_expired","message":"Gone."}'))
    expect(await client.records(AVATAR, 'old')).toBe('expired')
  })
})
