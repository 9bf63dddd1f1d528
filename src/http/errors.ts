import type { FastifyError, FastifyInstance, FastifyReply } from 'fastify'

import { HostingError } from '../hosting/errors.ts'
import { IngestBusyError } from '../ingest/errors.ts'
import type { Logger } from '../observe/types.ts'
import { RecordError } from '../record/errors.ts'

export type HttpErrorCode =
  | 'answer_too_large'
  | 'bad_request'
  | 'blocked'
  | 'body_too_complex'
  | 'body_too_large'
  | 'busy'
  | 'cursor_expired'
  | 'headers_too_large'
  | 'inexact_number'
  | 'duplicate_key'
  | 'internal'
  | 'invalid_cursor'
  | 'invalid_json'
  | 'invalid_request'
  | 'method_not_allowed'
  | 'not_found'
  | 'not_hosted'
  | 'operator_only'
  | 'payload_unknown'
  | 'timeout'
  | 'too_many_requests'
  | 'too_many_archives'
  | 'too_many_subscribers'
  | 'unknown_avatar'
  | 'unknown_namespace'

/** An answer other than the one asked for: a status, a code for programs, and a message for people. */
export class HttpError extends Error {
  override readonly name = 'HttpError'
  readonly statusCode: number
  readonly code: HttpErrorCode
  readonly headers: Readonly<Record<string, string>>
  /** Further members of the body. */
  readonly members: Readonly<Record<string, unknown>>

  constructor(
    statusCode: number,
    code: HttpErrorCode,
    message: string,
    headers: Readonly<Record<string, string>> = {},
    members: Readonly<Record<string, unknown>> = {},
  ) {
    super(message)
    this.statusCode = statusCode
    this.code = code
    this.headers = headers
    this.members = members
  }
}

/** The verdict on a record as the answer to a call; its code is that of the verdict (docs/protocol.md, "HTTP"). */
export class ResultError extends Error {
  override readonly name = 'ResultError'
  readonly statusCode: number
  readonly code: string
  readonly headers: Readonly<Record<string, string>>

  constructor(statusCode: number, code: string, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message)
    this.statusCode = statusCode
    this.code = code
    this.headers = headers
  }
}

export interface ErrorBody {
  readonly code: string
  readonly message: string
}

export function errorJson(code: string, message: string): string {
  return JSON.stringify({ code, message } satisfies ErrorBody)
}

export const JSON_TYPE = 'application/json; charset=utf-8'

/** Sends `{"code","message"}` with a status. */
export function sendError(reply: FastifyReply, statusCode: number, code: string, message: string): FastifyReply {
  return reply.code(statusCode).header('content-type', JSON_TYPE).send(errorJson(code, message))
}

/** Status, and seconds after which to try again, of what hosting refuses; the others are faults of the node. */
const HOSTING_STATUS: { readonly [code in HostingError['code']]?: readonly [number, number?] } = {
  invalid_statement: [400],
  wrong_peer: [400],
  pull_address_refused: [400],
  blocked: [403],
  hosting_closed: [403],
  invite_required: [403],
  invite_unknown: [403],
  not_hosted: [404],
  stale_statement: [409],
  hosting_busy: [503, 60],
  hosting_full: [503, 3600],
}

/** Answers every error that a request can meet as JSON; unexpected ones are logged and say nothing of the inside. */
export function installErrorHandler(app: FastifyInstance, logger: Logger): void {
  app.setErrorHandler((error: FastifyError | Error, request, reply) => {
    // Fastify asks to close the connection when a body is refused. The client would then often see a reset instead of
    // the answer; the rest of the body is discarded instead, as it comes, within the request's timeout.
    reply.removeHeader('connection')
    if (error instanceof HttpError) {
      const { statusCode, code, message, headers, members } = error
      return reply
        .code(statusCode)
        .headers(headers)
        .header('content-type', JSON_TYPE)
        .send(JSON.stringify({ code, message, ...members }))
    }
    if (error instanceof ResultError) {
      return sendError(reply.headers(error.headers), error.statusCode, error.code, error.message)
    }
    if (error instanceof RecordError) return sendError(reply, 400, error.code, error.message)
    const hosting = error instanceof HostingError ? HOSTING_STATUS[error.code] : undefined
    if (error instanceof HostingError && hosting !== undefined) {
      const [status, retryAfterSeconds] = hosting
      if (retryAfterSeconds !== undefined) reply.header('retry-after', retryAfterSeconds)
      return sendError(reply, status, error.code, error.message)
    }
    if (error instanceof IngestBusyError) {
      return sendError(reply.header('retry-after', error.retryAfterSeconds), 503, error.code, error.message)
    }
    if ('validation' in error && error.validation !== undefined) {
      return sendError(reply, 400, 'invalid_request', `${error.message}; see /docs for what is expected here.`)
    }
    const statusCode = 'statusCode' in error ? (error.statusCode ?? 500) : 500
    if (statusCode >= 400 && statusCode < 500) return sendError(reply, statusCode, 'bad_request', error.message)
    logger.error({ err: error, method: request.method, url: request.url.slice(0, 200) }, 'request failed')
    return sendError(reply, 500, 'internal', 'The node failed to answer; its log says why. Trying again may help.')
  })
}
