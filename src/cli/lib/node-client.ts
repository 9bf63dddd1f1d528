import { codeOf, messageOf } from '../../platform/errors.ts'
import { parseDocument, parseJson } from '../../client/answers.ts'
import { object } from '../../client/shapes.ts'
import { homesIn } from '../../homes/homes.ts'
import { readReceipt } from '../../receipt/hosts.ts'
import type { Receipt } from '../../receipt/receipt.ts'
import type { Avatar, JsonObject, JsonValue } from '../../record/types.ts'
import * as answers from './answers.ts'
import type { AvatarAnswer, PeerAnswer, RecordAnswer, RecordsAnswer, StatusAnswer, SubmitAnswer } from './answers.ts'
import { CliError } from './errors.ts'
import { parseHostedAnswer, parseHostingAnswer } from './hosting-answers.ts'
import type { HostedAnswer, HostingAnswer } from './hosting-answers.ts'
import { printable } from './text.ts'

export const DEFAULT_NODE_URL = 'http://127.0.0.1:4381'

/** A node on this machine answers in milliseconds, one behind a slow line in a few seconds. */
const TIMEOUT_MS = 15_000
/** A page of records with the greatest payloads, whose quotes double in JSON, stays below. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024
/** An answer other than 200 carries a code and a message. */
const MAX_ERROR_BYTES = 64 * 1024
/** 100 records of 262,144 bytes each, doubled in JSON, fit into `MAX_ANSWER_BYTES`. */
const PAGE_RECORDS = 100

/** The HTTP interface of a node (docs/protocol.md, "HTTP", version 2), as commands use it. Every answer is checked. */
export interface NodeClient {
  readonly url: string
  /** Undefined where the node does not know the avatar. */
  avatar(avatar: Avatar): Promise<AvatarAnswer | undefined>
  /** Undefined where the node does not know the avatar or namespace. */
  content(avatar: Avatar, platform: string, identity: string): Promise<JsonObject | undefined>
  /** A page in order of arrival. `expired`: the cursor is of another life of the store; begin anew. */
  records(avatar: Avatar, cursor: string | null): Promise<RecordsAnswer | 'expired'>
  /** What the node states, signed, that it holds of the avatar; shape, avatar and signature are checked. */
  receipt(avatar: Avatar): Promise<Receipt | undefined>
  submit(records: readonly Pick<RecordAnswer, 'payload' | 'signature'>[]): Promise<SubmitAnswer[]>
  /** Hands in a signed hosting statement. */
  askHosting(request: { readonly statement: string; readonly signature: string }): Promise<HostingAnswer>
  /** How the node keeps an avatar. */
  hosted(avatar: Avatar): Promise<HostedAnswer>
  status(): Promise<StatusAnswer & JsonObject>
  peers(): Promise<PeerAnswer[]>
}

/**
 * @param url `http://` or `https://` address of the node; a path before the interface's own is kept
 * @param options.timeoutMs for each call
 * @param options.signal ends all calls
 * @throws CliError `usage` where the URL cannot be used; from the calls `unreachable` or `refused`
 */
export function createNodeClient(
  url: string,
  options: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {},
): NodeClient {
  const base = parseUrl(url)
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS

  async function call<T>(
    method: 'GET' | 'POST',
    path: string,
    parse: (value: JsonValue) => T,
    body?: string,
  ): Promise<{ status: 200; value: T } | { status: 404 | 410; value?: never }> {
    let status: number
    let text: string
    let retryAfter: string | null
    try {
      const response = await fetch(base + path, {
        method,
        signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), ...(options.signal ? [options.signal] : [])]),
        headers: { accept: 'application/json', ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        ...(body === undefined ? {} : { body }),
      })
      status = response.status
      retryAfter = response.headers.get('retry-after')
      text = await readBounded(response, status === 200 ? MAX_ANSWER_BYTES : MAX_ERROR_BYTES)
    } catch (error) {
      if (error instanceof CliError) throw error
      throw unreachable(error)
    }
    if (status === 200) {
      if (/^\s*</.test(text)) throw new CliError('refused', notANode(url, 'it is a web page'))
      if (text.trim() === '') throw new CliError('refused', notANode(url, 'it is empty'))
      return { status, value: parseAnswer(text, parse) }
    }
    const problem = parseProblem(text)
    if ((status === 404 && problem?.code.startsWith('unknown_') === true) || status === 410) return { status }
    const said = problem === undefined ? 'without a reason' : `${problem.code}: ${problem.message}`
    throw new CliError('refused', `The node at ${url} answered ${method} ${path} with ${status}: ${printable(said)}`, {
      status,
      code: problem?.code,
      retryAfterSeconds: /^\d{1,4}$/.test(retryAfter ?? '') ? Number(retryAfter) : undefined,
      homes: problem?.homes ?? [],
    })
  }

  function unreachable(error: unknown): CliError {
    if (error instanceof Error && error.name === 'TimeoutError') {
      return new CliError(
        'unreachable',
        `The node at ${url} did not answer within ${timeoutMs / 1000} s. Try again later, or name another with --node URL.`,
      )
    }
    const advice = 'Start a node with "avatar-kv start", or name another with --node URL.'
    return new CliError('unreachable', `Cannot reach the node at ${url}: ${connectionProblem(error)}. ${advice}`)
  }

  function parseAnswer<T>(text: string, parse: (value: JsonValue) => T): T {
    try {
      return parse(parseJson(text))
    } catch (error) {
      throw new CliError('refused', notANode(url, printable(messageOf(error))))
    }
  }

  const path = (avatar: Avatar, ...rest: string[]): string => ['/v2/avatars', avatar, ...rest].join('/')

  return {
    url,
    avatar: async (avatar) => (await call('GET', path(avatar), parseDocument)).value,
    content: async (avatar, platform, identity) =>
      (
        await call(
          'GET',
          // In the query, for URL parsers take `.` and `..` in a path for something else, also percent-encoded.
          `${path(avatar, 'content')}?${new URLSearchParams({ platform, identity })}`,
          (value) => object(value, 'the answer'),
        )
      ).value,
    async records(avatar, cursor) {
      const query = new URLSearchParams({ limit: String(PAGE_RECORDS), ...(cursor === null ? {} : { cursor }) })
      const answer = await call('GET', `${path(avatar, 'records')}?${query}`, answers.parseRecordsAnswer)
      if (answer.status === 410) return 'expired'
      return answer.value ?? { records: [], digest: '', cursor: null }
    },
    async receipt(avatar) {
      return (await call('GET', path(avatar, 'receipt'), (value) => readReceipt(avatar, value))).value
    },
    async submit(records) {
      const { value } = await call('POST', '/v2/records', answers.parseSubmitAnswer, JSON.stringify({ records }))
      if (value?.length !== records.length) throw new CliError('refused', `The node at ${url} gave no result.`)
      return value
    },
    async askHosting(request) {
      const { value } = await call('POST', '/v2/hosting', parseHostingAnswer, JSON.stringify(request))
      if (value === undefined) throw new CliError('refused', `The node at ${url} takes no requests to be hosted.`)
      return value
    },
    async hosted(avatar) {
      const { value } = await call('GET', `/v2/hosting/${avatar}`, parseHostedAnswer)
      if (value === undefined) throw new CliError('refused', `The node at ${url} does not tell how it keeps avatars.`)
      return value
    },
    async status() {
      const { value } = await call('GET', '/v2/status', answers.parseStatusAnswer)
      if (value === undefined) throw new CliError('refused', `The node at ${url} does not tell its status.`)
      return value
    },
    async peers() {
      const { value } = await call('GET', '/v2/peers', answers.parsePeersAnswer)
      if (value === undefined) throw new CliError('refused', `The node at ${url} does not tell its peers.`)
      return value
    },
  }
}

/** What to say of an address where something else answers. */
export function notANode(url: string, why: string): string {
  return `What ${url} answered is not what an avatar-kv node answers: ${why}. Name the HTTP address of a node with --node URL.`
}

/** Why a connection failed, in words. */
export function connectionProblem(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
  const first: unknown = cause instanceof AggregateError ? cause.errors[0] : cause
  const code = codeOf(first) ?? ''
  return CONNECTION_PROBLEMS[code] ?? (messageOf(first) === 'bad port' ? BLOCKED_PORT : printable(messageOf(first)))
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

/**
 * The base of a node's addresses, without a slash at its end.
 *
 * @throws CliError `usage`
 */
export function parseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (
    url === undefined ||
    !/^https?:$/.test(url.protocol) ||
    url.username !== '' ||
    url.search !== '' ||
    url.hash !== ''
  ) {
    throw new CliError(
      'usage',
      `${JSON.stringify(text)} is not the address of a node; expected http://HOST:PORT, such as ${DEFAULT_NODE_URL}.`,
    )
  }
  return url.href.replace(/\/+$/, '')
}

/** @throws CliError `refused` where the body is longer */
export async function readBounded(response: Response, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  // Leaving the loop cancels the stream, so no more than this is ever read.
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > maxBytes) {
      const message =
        `The answer is longer than ${maxBytes} bytes and was not read. If the avatar is that large, read one namespace ` +
        'with "avatar-kv get AVATAR PLATFORM IDENTITY", or take an archive with "avatar-kv export AVATAR".'
      throw new CliError('refused', message)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parseProblem(text: string): { code: string; message: string; homes: string[] } | undefined {
  try {
    const { code, message, homes } = JSON.parse(text) as { code?: unknown; message?: unknown; homes?: unknown }
    return typeof code === 'string' && typeof message === 'string'
      ? { code, message, homes: homesIn(homes) }
      : undefined
  } catch {
    return undefined
  }
}
