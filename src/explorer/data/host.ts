/** The host that serves this page, through the client, and what a failure there means to a person. */
import { fetchFor } from '../../client/platform.ts'
import { createNodeApi, type NodeApi } from '../../client/node-api.ts'
import { TIMEOUT_MS } from '../../client/limits.ts'
import type { ClientError } from '../../client/index.ts'
import { cut } from './format.ts'
import { here } from './here.ts'

export function hostApi(signal: AbortSignal): NodeApi {
  return createNodeApi(here(), { ...fetchFor(undefined), timeoutMs: TIMEOUT_MS, signal })
}

/** What happened and what to do, where the client speaks of "the node" to a developer. */
export function hostText({ code, status, nodeCode = '', message }: ClientError): string {
  if (code === 'unreachable') {
    return 'This host does not answer. It may be down, or this device is offline. Check the connection of this device.'
  }
  if (code === 'bad_answer') {
    return 'This host answered with something that is not the answer of a node. The page may be older than the host, or a proxy or the login page of a network answered. Reload the page.'
  }
  if (code !== 'refused' || status === undefined) return message
  // The client puts the code before the message of the node.
  if (nodeCode !== '') return cut(message.slice(message.indexOf(nodeCode) + nodeCode.length).replace(/^[:,]\s*/, ''))
  return `This host answered with the HTTP status ${status}. ${adviceFor(status)}`
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
