/** The host that serves this page, through the client, and what a failure there means to a person. */
import { ClientError } from '../../client/errors.ts'
import { TIMEOUT_MS } from '../../client/limits.ts'
import { createNodeApi, type NodeApi } from '../../client/node-api.ts'
import { fetchFor } from '../../client/platform.ts'
import type { Shape } from '../../client/shapes.ts'
import { createTransport, type TransportRequest } from '../../client/transport.ts'
import { cut } from './format.ts'
import { here } from './here.ts'

/** Answers of these calls are small. A longer answer is not read to its end. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024

export interface HostRequest extends Pick<TransportRequest, 'path' | 'body' | 'contentType'> {
  readonly signal?: AbortSignal | undefined
  /** How long the host may be silent. Default: the client's. */
  readonly timeoutMs?: number
}

export function hostApi(signal: AbortSignal): NodeApi {
  return createNodeApi(here(), optionsOf(TIMEOUT_MS, signal))
}

/** @param parse reads and checks the answer. @throws ClientError with a message for people */
export async function askHost<T>(
  { signal, timeoutMs = TIMEOUT_MS, ...request }: HostRequest,
  parse: Shape<T>,
): Promise<T> {
  const transport = createTransport(here(), optionsOf(timeoutMs, signal))
  try {
    const { value } = await transport.ask({ ...request, maxBytes: MAX_ANSWER_BYTES }, parse)
    if (value !== undefined) return value
    throw transport.badAnswer('it has nothing here')
  } catch (error) {
    if (!(error instanceof ClientError)) throw error
    throw new ClientError(error.code, hostText(error), { cause: error })
  }
}

function optionsOf(timeoutMs: number, signal: AbortSignal | undefined) {
  return { ...fetchFor(undefined), timeoutMs, signal }
}

/** What happened and what to do, for people. The messages of the client are for developers. */
export function hostText({ code, status, nodeCode = '', message }: ClientError): string {
  switch (code) {
    case 'unreachable':
      return 'This host does not answer. It may be down, or this device is offline. Check the connection of this device.'
    case 'bad_answer':
      return 'This host answered with something that is not the answer of a node. The page may be older than the host, or a proxy or the login page of a network answered. Reload the page.'
    case 'answer_too_large':
      return 'The answer of this host is too long, and was not read to its end. Ask the operator of the host.'
    case 'refused':
      if (status === undefined) return message
      // The client puts the code before the message of the node.
      return nodeCode === ''
        ? `This host answered with the HTTP status ${status}. ${adviceFor(status)}`
        : cut(message.slice(message.indexOf(nodeCode) + nodeCode.length).replace(/^[:,]\s*/, ''))
    default:
      return message
  }
}

/** For an answer without a message of the node: it is mostly a proxy's. */
function adviceFor(status: number): string {
  if (status === 413) {
    return 'A proxy before this host does not let so many bytes through. Ask the operator to raise its limit.'
  }
  if (status === 429) return 'Too many requests came from this address. Wait a minute.'
  if (status >= 500) return 'The host, or a proxy before it, does not work at the moment. Wait, or ask the operator.'
  return 'Reload the page. If that does not help, ask the operator of the host.'
}
