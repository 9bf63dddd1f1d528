/** Errors of the client in the words and exit codes of commands. */
import type { ClientError } from '../../client/errors.ts'
import { codeOf, messageOf } from '../../platform/errors.ts'
import { CliError, type CliErrorCode } from './errors.ts'
import { printable } from './text.ts'

const CODES: Readonly<Partial<Record<ClientError['code'], CliErrorCode>>> = {
  usage: 'usage',
  unreachable: 'unreachable',
  bad_answer: 'refused',
  answer_too_large: 'refused',
  refused: 'refused',
  superseded: 'refused',
  unconfirmed: 'refused',
}

/** @param prefix begins the message */
export function toCliError(error: ClientError, prefix = ''): CliError {
  return new CliError(CODES[error.code] ?? 'failed', prefix + wordsOf(error), { cause: error })
}

function wordsOf(error: ClientError): string {
  const { code, node = '' } = error
  const message = printable(error.message)
  if (code === 'unreachable') {
    const why = connectionProblem(error.cause)
    const what = why === undefined ? message : `Cannot reach the node at ${printable(node)}: ${why}.`
    return `${what} Start a node with "avatar-kv start", or name another with --node URL.`
  }
  if (code === 'answer_too_large') {
    return (
      `The answer of ${printable(node)} is longer than a command reads, and was not read. If the avatar is that large, read one namespace with ` +
      '"avatar-kv get AVATAR PLATFORM IDENTITY", or take an archive with "avatar-kv export AVATAR".'
    )
  }
  if (code === 'bad_answer') return `${message} Name the HTTP address of a node with --node URL.`
  return message
}

/** Why a connection failed, in words; undefined where its error has no code that is known here. */
function connectionProblem(error: unknown): string | undefined {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
  const first: unknown = cause instanceof AggregateError ? cause.errors[0] : cause
  return messageOf(first) === 'bad port' ? BLOCKED_PORT : CONNECTION_PROBLEMS[codeOf(first) ?? '']
}

const BLOCKED_PORT = 'its port is one that HTTP clients refuse, as another protocol uses it'
const CONNECTION_PROBLEMS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection was cut',
  EHOSTUNREACH: 'there is no way to that host',
  ENETUNREACH: 'there is no way to that network',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'the name of the host cannot be looked up now',
  UND_ERR_SOCKET: 'the connection was cut',
  HPE_INVALID_CONSTANT: 'it does not speak HTTP',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS. Use http:// for it',
}
