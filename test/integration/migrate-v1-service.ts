import { createServer } from 'node:http'
import type { ServerResponse } from 'node:http'
import { parseAvatar, uncompressedAvatar } from '../../src/record/keys.ts'
import type { Avatar, JsonObject } from '../../src/record/types.ts'
import { closeServer, listen } from './snapshot-relay.ts'

export interface V1Entry {
  readonly platform: string
  readonly identity: string
  readonly content: JsonObject
}

export interface V1Service {
  readonly url: string
  /** Addresses asked for. */
  readonly seen: readonly string[]
  /** What it holds; may be changed. */
  readonly proofs: V1Entry[]
  close(): Promise<void>
}

/**
 * The old operator: a service of version 1, which answers `GET /v1/kv` as Next.ID's does.
 *
 * @param options.parameter what it calls an avatar, in questions and answers
 * @param options.answer answers in its place
 */
export async function startV1Service(
  avatar: Avatar,
  options: {
    readonly proofs?: V1Entry[]
    readonly parameter?: 'avatar' | 'persona'
    readonly answer?: (response: ServerResponse) => void
  } = {},
): Promise<V1Service> {
  const { proofs = [], parameter = 'avatar', answer } = options
  const seen: string[] = []
  const server = createServer((request, response) => {
    seen.push(request.url ?? '')
    if (answer !== undefined) return answer(response)
    const url = new URL(request.url ?? '', 'http://service')
    const asked = url.searchParams.get(parameter)
    if (url.pathname !== '/v1/kv' || asked === null)
      return send(response, 400, { message: `Param missing: ${parameter}` })
    const isKnown = parseAvatar(asked) === avatar
    const key = uncompressedAvatar(parseAvatar(asked))
    const named = parameter === 'persona' ? { persona: key } : { persona: key, avatar: key }
    return send(response, 200, { ...named, proofs: isKnown ? proofs : [] })
  })
  return { url: await listen(server), seen, proofs, close: async () => await closeServer(server) }
}

export function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(typeof body === 'string' ? body : JSON.stringify(body))
}
