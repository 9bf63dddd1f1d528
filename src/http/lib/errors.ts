import type { FastifyReply } from 'fastify'

import { CodedError } from '../../platform/errors.ts'
import type { Refusal } from '../../shares/types.ts'

export type HttpErrorCode =
  | 'answer_too_large'
  | 'bad_request'
  | 'blocked'
  | 'broken_off'
  | 'body_too_complex'
  | 'body_too_large'
  | 'busy'
  | 'cursor_expired'
  | 'headers_too_large'
  | 'inexact_number'
  | 'duplicate_key'
  | 'unsupported_encoding'
  | 'internal'
  | 'invalid_cursor'
  | 'invalid_json'
  | 'invalid_request'
  | 'method_not_allowed'
  | 'not_found'
  | 'not_hosted'
  | 'operator_only'
  | 'wrong_host'
  | 'payload_unknown'
  | 'store_unavailable'
  | 'timeout'
  | 'too_many_requests'
  | 'too_many_archives'
  | 'too_many_subscribers'
  | 'unknown_avatar'
  | 'unknown_namespace'

interface AnswerOptions {
  /** Seconds after which a retry can succeed. */
  readonly retryS?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Further members of the body. */
  readonly members?: Readonly<Record<string, unknown>>
}

/** An error answer: a status, a code for programs, and a message for people. */
export class HttpError<Code extends string = HttpErrorCode> extends CodedError<Code> {
  override readonly name: string = 'HttpError'
  readonly statusCode: number
  readonly headers: Readonly<Record<string, string>>
  readonly members: Readonly<Record<string, unknown>>

  constructor(statusCode: number, code: Code, message: string, options: AnswerOptions = {}) {
    super(code, message)
    const { retryS, headers, members = {} } = options
    this.statusCode = statusCode
    this.headers = { ...headers, ...(retryS === undefined ? {} : { 'retry-after': String(retryS) }) }
    this.members = members
  }
}

/** An error answer with the code of another part, such as that of a record or an archive (docs/protocol.md, "HTTP"). */
export class ResultError extends HttpError<string> {
  override readonly name = 'ResultError'
}

export function unknownAvatar(): HttpError {
  const message = 'This node has no records of this avatar. Check the avatar, or ask another node.'
  return new HttpError(404, 'unknown_avatar', message)
}

export function unknownNamespace(): HttpError {
  const message = 'This node has no data of the avatar under this platform and identity. Check both names.'
  return new HttpError(404, 'unknown_namespace', message)
}

export function invalidCursor(): HttpError {
  const message = 'The cursor is not valid. Use the cursor of an earlier answer unchanged, or none.'
  return new HttpError(400, 'invalid_cursor', message)
}

/**
 * The answer to a client for which `Shares` have no room.
 *
 * @param options.doing completes "The node already …": `handles as many requests`
 * @param options.advice to an address that has its whole share
 * @param options.code default: `busy` if the node is full, `too_many_requests` if the address is
 */
export function refusedShare(
  why: Refusal,
  { doing, advice, code, retryS }: { doing: string; advice: string; code?: HttpErrorCode; retryS: number },
): HttpError {
  if (why === 'full') {
    const message = `The node already ${doing} as it can. Try again in ${retryS} s, or use another node.`
    return new HttpError(503, code ?? 'busy', message, { retryS })
  }
  const message = `Your address already ${doing} as one address may. ${advice}`
  return new HttpError(429, code ?? 'too_many_requests', message, { retryS })
}

export const JSON_TYPE = 'application/json; charset=utf-8'

/** Returns the body of an error answer. */
export function errorJson(code: string, message: string, members: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({ code, message, ...members })
}

export function sendError(reply: FastifyReply, { statusCode, code, message, headers, members }: HttpError<string>) {
  return reply
    .code(statusCode)
    .headers(headers)
    .header('content-type', JSON_TYPE)
    .send(errorJson(code, message, members))
}

/** Errors of a connection, which the other side can cause at will. */
const CONNECTION_ERRORS: ReadonlySet<unknown> = new Set([
  ...['ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT'],
  ...['ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED', 'ERR_HTTP_REQUEST_TIMEOUT'],
])

/** Whether an error only means that the other side closed the connection or broke the protocol. */
export function isConnectionError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && CONNECTION_ERRORS.has(error.code)
}
