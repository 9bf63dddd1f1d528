import type { Socket } from 'node:net'

import type { FastifyError, FastifyInstance, FastifyReply } from 'fastify'

import { HostingError } from '../../hosting/errors.ts'
import { IngestBusyError } from '../../ingest/errors.ts'
import type { Logger, Metrics } from '../../observe/types.ts'
import { CodedError } from '../../platform/errors.ts'
import { RecordError } from '../../record/errors.ts'
import { CorruptRowError, StoreError } from '../../store/errors.ts'
import type { StoreErrorCode } from '../../store/errors.ts'
import type { ClientAddresses } from './client-address.ts'

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

/** An error answer: a status, a code for programs, and a message for people. */
export class HttpError extends CodedError<HttpErrorCode> {
  override readonly name = 'HttpError'
  readonly statusCode: number
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
    super(code, message)
    this.statusCode = statusCode
    this.headers = headers
    this.members = members
  }
}

/** An error answer with the code of a record or archive error (docs/protocol.md, "HTTP"). */
export class ResultError extends CodedError<string> {
  override readonly name = 'ResultError'
  readonly statusCode: number
  readonly headers: Readonly<Record<string, string>>

  constructor(statusCode: number, code: string, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(code, message)
    this.statusCode = statusCode
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

/** Statuses of hosting errors, and the seconds after which to retry. */
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

/** Seconds after which to retry if the node cannot use its data. */
const STORE_RETRY_S = 5
/** The same, if only the operator can repair that. */
const OPERATOR_RETRY_S = 60
/** Errors after which the store reopens or repairs its data before the next call. */
const PASSING: ReadonlySet<StoreErrorCode> = new Set(['write_failed', 'damaged', 'reopened'])

/**
 * Returns the answer to a failure of the store; undefined for any other error. The answer does not contain the store's own
 * message, which names folders of the node; the log has it.
 */
function storeUnavailable(error: unknown): HttpError | undefined {
  let isPassing = true
  if (error instanceof StoreError) isPassing = PASSING.has(error.code) || error.cause instanceof CorruptRowError
  else if (!(error instanceof HostingError && error.code === 'failed')) return undefined
  const retryS = isPassing ? STORE_RETRY_S : OPERATOR_RETRY_S
  const isFull = error instanceof StoreError && error.code === 'disk_full'
  const what = isFull ? "The node's disk is full" : 'The node cannot read or write its data now'
  const message =
    `${what}; its log says why. The node may or may not have stored the change that you sent. ` +
    `Send the same request again in ${retryS} s, or use another node.`
  return new HttpError(503, 'store_unavailable', message, { 'retry-after': String(retryS) })
}

export interface ErrorComponents {
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'stranger'>
  readonly clients: ClientAddresses
  /** Connections whose fault has been counted. */
  readonly faulty: WeakSet<Socket>
}

/** Errors of a connection, which the other side can cause at will. */
const CONNECTION_ERRORS: ReadonlySet<unknown> = new Set([
  ...['ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT'],
  ...['ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED', 'ERR_HTTP_REQUEST_TIMEOUT'],
])
const BROKEN_OFF = 'broken_off'
/** Statuses of refusals that are counted, to show the operator which limits take effect. */
const COUNTED_STATUSES: ReadonlySet<number> = new Set([401, 403, 408, 429, 503])

/** Whether an error only means that the other side closed the connection or broke the protocol. */
export function isConnectionError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && CONNECTION_ERRORS.has(error.code)
}

/** Returns the label under which an error is counted; undefined if a stranger did not cause it. */
function strangerOf(error: unknown): string | undefined {
  if (isConnectionError(error)) return BROKEN_OFF
  if (error instanceof IngestBusyError) return error.code
  const isCounted = error instanceof HttpError && (error.code === BROKEN_OFF || COUNTED_STATUSES.has(error.statusCode))
  return isCounted ? error.code : undefined
}

/**
 * Answers every error of a request as JSON. Faults of the node are logged, and the answer tells no internals. Errors that a
 * client causes are counted, and logged only at the level debug.
 */
export function installErrorHandler(app: FastifyInstance, { logger, metrics, clients, faulty }: ErrorComponents): void {
  app.setErrorHandler((error: FastifyError | Error, request, reply) => {
    const kind = strangerOf(error)
    if (kind !== undefined) {
      if (kind !== BROKEN_OFF || !faulty.has(request.socket)) metrics.stranger('http', kind)
      const { address } = clients.ofRequest(request.raw)
      logger.debug({ address, method: request.method, url: shownUrl(request.url), kind }, 'request refused')
    }
    if (isConnectionError(error))
      return sendError(reply, 400, BROKEN_OFF, 'The connection closed before the request was complete. Send it again.')
    // Fastify would close the connection after refusing a body, and the client would often see a reset instead of the
    // answer. So the connection stays open and the rest of the body is discarded, within the timeout of the request.
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
      return sendError(
        reply,
        400,
        'invalid_request',
        `The request is not valid: ${error.message}. /docs describes what this call expects.`,
      )
    }
    const statusCode = 'statusCode' in error ? (error.statusCode ?? 500) : 500
    if (statusCode >= 400 && statusCode < 500) return sendError(reply, statusCode, 'bad_request', error.message)
    const { address } = clients.ofRequest(request.raw)
    logger.error({ err: error, address, method: request.method, url: shownUrl(request.url) }, 'request failed')
    const unavailable = storeUnavailable(error)
    if (unavailable !== undefined) {
      const { code, message, headers } = unavailable
      return sendError(reply.headers(headers), unavailable.statusCode, code, message)
    }
    return sendError(
      reply,
      500,
      'internal',
      'The node failed to answer because of an internal error; its log says why. Try again, or use another node.',
    )
  })
}

/** Shortens a URL for a log line. */
function shownUrl(url: string): string {
  return url.slice(0, 200)
}
