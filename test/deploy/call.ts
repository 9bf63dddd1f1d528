import { request as plainRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import { request as secureRequest } from 'node:https'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

export interface CallOptions {
  /** The address of loopback that the client has, such as 127.0.0.2. */
  readonly from?: string
  readonly method?: string
  readonly headers?: OutgoingHttpHeaders
  readonly body?: string | AsyncIterable<Uint8Array>
  /** Sent as it is, without the normalisation of URLs. */
  readonly path?: string
}

/** Calls an address on a connection of its own; resolves once the headers of the answer are here. Believes every certificate. */
export async function open(url: string, options: CallOptions = {}): Promise<IncomingMessage> {
  const { from, method = 'GET', headers = {}, body } = options
  const { protocol, hostname, port, pathname, search } = new URL(url)
  const target = { hostname, port, path: options.path ?? pathname + search, method, headers, agent: false as const }
  const local = from === undefined ? {} : { localAddress: from }
  return await new Promise((resolve, reject) => {
    const request =
      protocol === 'https:'
        ? secureRequest({ ...target, ...local, rejectUnauthorized: false }, resolve)
        : plainRequest({ ...target, ...local }, resolve)
    request.on('error', reject)
    if (body === undefined || typeof body === 'string') request.end(body)
    else pipeline(Readable.from(body), request).catch(reject)
  })
}

/** The same, with the text of the answer. */
export async function call(
  url: string,
  options: CallOptions = {},
): Promise<{ status: number; type: string; text: string }> {
  const response = await open(url, options)
  let text = ''
  for await (const piece of response.setEncoding('utf8')) text += piece
  return { status: response.statusCode ?? 0, type: response.headers['content-type'] ?? '', text }
}
