import type { Socket } from 'node:net'

import type { FastifyError, FastifyInstance } from 'fastify'

import { HostingError } from '../../hosting/errors.ts'
import { IngestBusyError } from '../../ingest/errors.ts'
import type { Logger, Metrics } from '../../observe/types.ts'
import { RecordError } from '../../record/errors.ts'
import { CorruptRowError, StoreError, type StoreErrorCode } from '../../store/errors.ts'
import type { ClientAddresses } from '../../shares/client-address.ts'
import { HttpError, isConnectionError, ResultError, sendError } from '../lib/errors.ts'

/** Statuses of hosting errors, and the seconds after which to retry. */
const HOSTING_STATUS: { readonly [code in HostingError['code']]?: readonly [status: number, retryS?: number] } = {
  invalid_statement: [400],
  wrong_peer: [400],
  pull_address_refused: [400],
  blocked: [403],
  hosting_closed: [403],
  invite_required: [403],
  invite_unknown: [403],
  not_hosted: [404],
  stale_statement: [409],
  disk_low: [503, 60],
  disk_full: [503, 60],
  hosting_busy: [503, 60],
  hosting_full: [503, 3600],
}

/** Seconds after which to retry if the node cannot use its data. */
const STORE_RETRY_S = 5
/** The same, if only the operator can repair that. */
const OPERATOR_RETRY_S = 60
/** Errors after which the store reopens or repairs its data before the next call. */
const PASSING: ReadonlySet<StoreErrorCode> = new Set(['write_failed', 'damaged', 'reopened', 'unavailable'])
/** Statuses of refusals that are counted, to show the operator which limits take effect. */
const COUNTED_STATUSES: ReadonlySet<number> = new Set([401, 403, 408, 429, 503])
/** Characters of a URL in a log line. */
const SHOWN_URL_LENGTH = 200

/**
 * Answers every error of a request as JSON. Faults of the node are logged, and the answer tells no internals. Errors that a
 * client causes are counted, and logged only at the level debug.
 *
 * @param components.faulty connections whose fault has been counted
 */
export function installErrorHandler(
  app: FastifyInstance,
  components: {
    readonly logger: Logger
    readonly metrics: Pick<Metrics, 'stranger'>
    readonly clients: ClientAddresses
    readonly faulty: WeakSet<Socket>
  },
): void {
  const { logger, metrics, clients, faulty } = components
  app.setErrorHandler((error: FastifyError | Error, request, reply) => {
    const about = () => {
      const { address } = clients.ofRequest(request.raw)
      return { address, method: request.method, url: request.url.slice(0, SHOWN_URL_LENGTH) }
    }
    const kind = strangerOf(error)
    if (kind !== undefined) {
      if (kind !== 'broken_off' || !faulty.has(request.socket)) metrics.stranger('http', kind)
      logger.debug({ ...about(), kind }, 'request refused')
    }
    // Fastify would close the connection after refusing a body, and the client would often see a reset instead of the
    // answer. So the connection stays open and the rest of the body is discarded, within the timeout of the request.
    if (!isConnectionError(error)) reply.removeHeader('connection')
    const answer = answerOf(error)
    if (answer === undefined) logger.error({ err: error, ...about() }, 'request failed')
    return sendError(reply, answer ?? faultOf(error))
  })
}

/** Returns the label under which an error is counted; undefined if a stranger did not cause it. */
function strangerOf(error: unknown): string | undefined {
  if (isConnectionError(error)) return 'broken_off'
  if (error instanceof IngestBusyError) return error.code
  if (!(error instanceof HttpError) || error instanceof ResultError) return undefined
  return error.code === 'broken_off' || COUNTED_STATUSES.has(error.statusCode) ? error.code : undefined
}

/** Returns the answer to an error that the node expects; undefined for a fault of the node. */
function answerOf(error: FastifyError | Error): HttpError<string> | undefined {
  if (isConnectionError(error)) {
    const message = 'The connection closed before the request was complete. Send it again.'
    return new HttpError(400, 'broken_off', message)
  }
  const { message } = error
  if (error instanceof HttpError) return error
  if (error instanceof RecordError) return new ResultError(400, error.code, message)
  if (error instanceof IngestBusyError) {
    return new ResultError(503, error.code, message, { retryS: error.retryAfterSeconds })
  }
  if (error instanceof HostingError) {
    const [status, retryS] = HOSTING_STATUS[error.code] ?? []
    if (status === undefined) return undefined
    return new ResultError(status, error.code, message, retryS === undefined ? {} : { retryS })
  }
  if ('validation' in error && error.validation !== undefined) {
    const text = `The request is not valid: ${message}. /docs describes what this call expects.`
    return new HttpError(400, 'invalid_request', text)
  }
  const { statusCode = 500 } = error as FastifyError
  return statusCode >= 400 && statusCode < 500 ? new HttpError(statusCode, 'bad_request', message) : undefined
}

/**
 * Returns the answer to a fault of the node. It does not contain the error's own message, which can name folders of the node;
 * the log has it.
 */
function faultOf(error: unknown): HttpError {
  const isOfStore = error instanceof StoreError
  if (!isOfStore && !(error instanceof HostingError && error.code === 'failed')) {
    const message =
      'The node failed to answer because of an internal error; its log says why. Try again, or use another node.'
    return new HttpError(500, 'internal', message)
  }
  const isPassing = !isOfStore || PASSING.has(error.code) || error.cause instanceof CorruptRowError
  const retryS = isPassing ? STORE_RETRY_S : OPERATOR_RETRY_S
  const isFull = isOfStore && error.code === 'disk_full'
  const what = isFull ? "The node's disk is full" : 'The node cannot read or write its data now'
  const message =
    `${what}; its log says why. The node may or may not have stored the change that you sent. ` +
    `Send the same request again in ${retryS} s, or use another node.`
  return new HttpError(503, 'store_unavailable', message, { retryS })
}
