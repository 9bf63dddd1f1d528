import { formatHostPort } from '../config/addresses.ts'
import type { HostPort } from '../config/addresses.ts'
import { ListenError } from '../http/server/listening.ts'
import { listenProblem } from '../network/listening.ts'
import { CodedError } from '../platform/errors.ts'

export type NodeErrorCode = 'data_dir_unusable' | 'http_address_unusable' | 'restore_unfinished'

/** The node cannot start; the message says what to do. */
export class NodeError extends CodedError<NodeErrorCode> {
  override readonly name = 'NodeError'
}

/** The error of a start if the HTTP interface cannot listen. */
export function httpUnusable(asked: HostPort, error: unknown): NodeError {
  const failed = error instanceof ListenError ? error : { address: asked, cause: error }
  const of = failed.address.host === asked.host ? '' : `, an address of ${asked.host}`
  const what = `Cannot serve HTTP on ${formatHostPort(failed.address)}${of}: ${listenProblem(failed.cause)} with --http.`
  return new NodeError('http_address_unusable', what, { cause: failed.cause })
}
