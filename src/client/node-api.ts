/** One node over HTTP (docs/protocol.md, "HTTP", version 2). Every answer is bounded in size and time, and checked. */
import { messageOf } from '../platform/errors.ts'
import type { Receipt } from '../receipt/receipt.ts'
import type { Avatar, JsonObject, JsonValue } from '../record/types.ts'
import * as answers from './answers.ts'
import type { ClaimAnswer, RecordsPage, SubmitAnswer } from './answers.ts'
import { createDeadline, orAborted, throwIfAborted, type Deadline } from './deadline.ts'
import { ClientError } from './errors.ts'
import * as limits from './limits.ts'
import type { AvatarDocument, RecordText } from './types.ts'

type Signal = AbortSignal | undefined

export interface NodeApi {
  /** Address without a slash at its end. */
  readonly url: string
  /** How long one answer may take in all. */
  readonly patienceMs: number
  /** Undefined where the node does not have the avatar. */
  document(avatar: Avatar, signal?: Signal): Promise<AvatarDocument | undefined>
  content(avatar: Avatar, platform: string, identity: string, signal?: Signal): Promise<JsonObject | undefined>
  /** A page in order of arrival. `expired`: the cursor is of another life of the node's store; begin anew. */
  records(avatar: Avatar, cursor: string | null, signal?: Signal): Promise<RecordsPage | 'expired' | undefined>
  /** What the node claims to show, by its receipt, whose signature is not checked. */
  claim(avatar: Avatar, signal?: Signal): Promise<ClaimAnswer | undefined>
  /** @param parse reads and checks the receipt */
  receipt(avatar: Avatar, parse: (value: JsonValue) => Receipt, signal?: Signal): Promise<Receipt | undefined>
  submit(records: readonly RecordText[], signal?: Signal): Promise<SubmitAnswer[]>
  /**
   * Opens the stream of an avatar's events.
   *
   * @param after cursor of the last event seen, null for those from now on
   * @param deadline ends the stream too; whoever reads it touches it
   */
  events(avatar: Avatar, after: string | null, deadline: Deadline): Promise<ReadableStream<Uint8Array>>
}

export interface NodeApiOptions {
  readonly fetch: typeof fetch
  /** Whether its answers are known to have a body that can be read piece by piece. */
  readonly streams: boolean
  readonly timeoutMs: number
  readonly signal: Signal
}

/** Codes with which a node says that it has nothing here, which is no failure. */
const ABSENT = new Set(['unknown_avatar', 'unknown_namespace', 'not_hosted', 'blocked'])

/** @throws ClientError from the calls: `unreachable`, `bad_answer`, `answer_too_large`, `refused`, `aborted` */
export function createNodeApi(url: string, options: NodeApiOptions): NodeApi {
  const { timeoutMs } = options
  const patienceMs = timeoutMs * limits.TOTAL_TIMEOUT_FACTOR
  /** Undefined until an answer has shown it. */
  let streams: boolean | undefined = options.streams ? true : undefined

  async function call<T>(
    path: string,
    maxBytes: number,
    parse: (value: JsonValue) => T,
    signal: Signal,
    body?: string,
  ): Promise<{ status: 200; value: T } | { status: 404 | 410; value?: never }> {
    const signals = [options.signal, signal]
    throwIfAborted(signals)
    const deadline = createDeadline(signals, timeoutMs, patienceMs)
    let response: Response
    let text: string
    try {
      response = await options.fetch(url + path, {
        signal: deadline.signal,
        headers: { accept: 'application/json', ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        ...(body === undefined ? {} : { method: 'POST', body }),
        // The browser's cache could hand out what the node no longer says.
        cache: 'no-store',
      })
      text = await readBounded(response, response.status === 200 ? maxBytes : limits.MAX_SMALL_ANSWER_BYTES, deadline)
    } catch (error) {
      throwIfAborted(signals)
      if (error instanceof ClientError && error.code !== 'aborted') throw error
      throw unreachable(error, deadline.timedOut)
    } finally {
      deadline.close()
    }
    const { status } = response
    if (status === 200) return { status, value: checked(text, parse) }
    if (status === 410) return { status }
    const problem = answers.parseProblem(text)
    if (status === 404 && ABSENT.has(problem.code)) return { status }
    throw refused(response, problem)
  }

  /** One reader at a time, chunk by chunk: what is too long is not read to its end. */
  async function readBounded(response: Response, maxBytes: number, deadline: Deadline): Promise<string> {
    streams = (response.body as ReadableStream | null | undefined) !== undefined
    if (!streams) return await readWhole(response, maxBytes, deadline)
    if (response.body === null) return ''
    const reader = response.body.getReader()
    const decoder = new TextDecoder('utf-8', { fatal: true })
    let bytes = 0
    let text = ''
    try {
      for (;;) {
        const { done, value } = await reader.read()
        if (done) return text + decoder.decode()
        deadline.touch()
        bytes += value.byteLength
        if (bytes > maxBytes) throw tooLong(maxBytes)
        text += decoder.decode(value, { stream: true })
      }
    } catch (error) {
      if (error instanceof TypeError && error.message.includes('encoded')) throw badAnswer('it is not UTF-8')
      throw error
    } finally {
      reader.cancel().catch(() => {})
    }
  }

  /** For a `fetch` without bodies that stream, such as React Native's: it holds the whole answer in memory already. */
  async function readWhole(response: Response, maxBytes: number, deadline: Deadline): Promise<string> {
    if (Number(response.headers.get('content-length') ?? 0) > maxBytes) throw tooLong(maxBytes)
    const text = await orAborted(response.text(), [deadline.signal])
    if (text.length > maxBytes) throw tooLong(maxBytes)
    return text
  }

  function checked<T>(text: string, parse: (value: JsonValue) => T): T {
    try {
      return parse(answers.parseJson(text))
    } catch (error) {
      throw badAnswer(messageOf(error))
    }
  }

  function badAnswer(why: string): ClientError {
    const message = `What ${url} answered is not what a node answers: ${why}. Is the address right?`
    return new ClientError('bad_answer', message, { node: url })
  }

  function tooLong(maxBytes: number): ClientError {
    // Nodes bound all other answers to less than the client takes.
    if (maxBytes !== limits.MAX_DOCUMENT_BYTES) return badAnswer(`it is longer than ${maxBytes} bytes`)
    const message =
      `The answer of ${url} is longer than ${maxBytes} bytes, which is the most that this client reads at once. ` +
      READ_IN_PARTS
    return new ClientError('answer_too_large', message, { node: url })
  }

  function unreachable(error: unknown, timedOut: boolean): ClientError {
    const why = timedOut ? `it was silent for ${timeoutMs / 1000} s, or took all too long` : reasonOf(error)
    return new ClientError('unreachable', `The node at ${url} cannot be reached: ${why}.`, { node: url, cause: error })
  }

  function refused(response: Response, problem: { code: string; message: string }): ClientError {
    const wait = response.headers.get('retry-after') ?? ''
    const said = problem.code === '' ? problem.message : `${problem.code}, ${problem.message}`
    const code = problem.code === 'answer_too_large' ? problem.code : 'refused'
    return new ClientError(code, `The node at ${url} answered with ${response.status}: ${said}`, {
      node: url,
      status: response.status,
      nodeCode: problem.code,
      ...(/^\d{1,4}$/.test(wait) ? { retryAfterSeconds: Number(wait) } : {}),
    })
  }

  function path(avatar: Avatar, ...rest: string[]): string {
    return ['/v2/avatars', avatar, ...rest].join('/')
  }

  /** In the query, for URL parsers take `.` and `..` in a path for something else, also percent-encoded. */
  function contentPath(avatar: Avatar, platform: string, identity: string): string {
    if (answers.LONE_SURROGATE.test(platform + identity)) {
      throw new ClientError('usage', 'A platform and an identity are well-formed Unicode.')
    }
    return `${path(avatar, 'content')}?${new URLSearchParams({ platform, identity })}`
  }

  async function claim(avatar: Avatar, signal: Signal): Promise<ClaimAnswer | undefined> {
    return (await call(path(avatar, 'receipt'), limits.MAX_SMALL_ANSWER_BYTES, answers.parseClaim, signal)).value
  }

  return {
    url,
    patienceMs,
    document: async (avatar, signal) =>
      (await call(path(avatar), limits.MAX_DOCUMENT_BYTES, answers.parseDocument, signal)).value,
    content: async (avatar, platform, identity, signal) =>
      (await call(contentPath(avatar, platform, identity), limits.MAX_DOCUMENT_BYTES, answers.parseContent, signal))
        .value,
    async records(avatar, cursor, signal) {
      const after = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`
      const query = `?limit=${limits.PAGE_RECORDS}${after}`
      const { status, value } = await call(
        path(avatar, 'records') + query,
        limits.MAX_PAGE_BYTES,
        (page) => answers.parsePage(page, answers.parseRecord),
        signal,
      )
      return status === 410 ? 'expired' : value
    },
    claim,
    receipt: async (avatar, parse, signal) =>
      (await call(path(avatar, 'receipt'), limits.MAX_SMALL_ANSWER_BYTES, parse, signal)).value,
    async submit(records, signal) {
      const body = JSON.stringify({ records: records.map(({ payload, signature }) => ({ payload, signature })) })
      const parse = (results: JsonValue): SubmitAnswer[] => answers.parseResults(results, answers.parseResult)
      const { value } = await call('/v2/records', limits.MAX_PAGE_BYTES, parse, signal, body)
      if (value?.length !== records.length) throw badAnswer('it has not one result for each record')
      return value
    },
    async events(avatar, after, deadline) {
      const query = new URLSearchParams({ avatar, ...(after === null ? {} : { after }) })
      let response: Response
      deadline.touch(timeoutMs)
      // Without streams the call below would wait for the end of the stream, which has none.
      if (streams === undefined) await claim(avatar, deadline.signal)
      if (streams === false) throw withoutStreams()
      try {
        response = await options.fetch(`${url}/v2/events?${query}`, {
          signal: deadline.signal,
          headers: { accept: 'text/event-stream' },
          cache: 'no-store',
        })
        if (response.status !== 200) {
          const text = await readBounded(response, limits.MAX_SMALL_ANSWER_BYTES, deadline)
          throw refused(response, answers.parseProblem(text))
        }
      } catch (error) {
        if (error instanceof ClientError) throw error
        throw unreachable(error, deadline.timedOut)
      }
      deadline.touch()
      if (response.body === null || !(response.headers.get('content-type') ?? '').startsWith('text/event-stream')) {
        await response.body?.cancel()
        throw badAnswer('it is no stream of events')
      }
      return response.body
    },
  }
}

const READ_IN_PARTS =
  'If the avatar is that large, read one namespace, or the signed records: by getVerified, page by page from ' +
  '/v2/avatars/{avatar}/records, or as an archive from /v2/archives.'

function withoutStreams(): ClientError {
  return new ClientError(
    'unsupported',
    "This platform's fetch does not stream, so events cannot be followed. Hand in a `fetch` that does, such as expo/fetch in React Native, or call getVerified() from time to time.",
  )
}

/** Platforms say `fetch failed`, and why in the cause, if at all. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
  return messageOf(cause) || 'no reason given'
}
