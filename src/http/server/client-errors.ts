import type { Socket } from 'node:net'

import type { HttpErrorCode } from '../lib/errors.ts'
import { errorJson, isConnectionError, JSON_TYPE } from '../lib/errors.ts'

const ANSWERS: Readonly<Record<string, readonly [status: string, code: HttpErrorCode, message: string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'timeout', 'The request did not arrive in time. Send it again.'],
  HPE_HEADER_OVERFLOW: [
    '431 Request Header Fields Too Large',
    'headers_too_large',
    'The URL and headers of the request have more than 16 KiB. Shorten them.',
  ],
}
const MALFORMED = ['400 Bad Request', 'bad_request', 'This is not a valid HTTP/1.1 request.'] as const

/**
 * Answers a request that Node's HTTP parser rejected, and closes the connection.
 *
 * @returns the code of the error, for a metric
 */
export function answerClientError(error: Error & { code?: string }, socket: Socket): HttpErrorCode {
  if (isConnectionError(error) && error.code !== 'ERR_HTTP_REQUEST_TIMEOUT') {
    socket.destroy()
    return 'broken_off'
  }
  const [status, code, message] = ANSWERS[error.code ?? ''] ?? MALFORMED
  if (!socket.writable) {
    socket.destroy()
    return code
  }
  const body = errorJson(code, message)
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: ${JSON_TYPE}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n` +
      `access-control-allow-origin: *\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n${body}`,
  )
  return code
}
