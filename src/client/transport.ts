/** HTTP to one node. Every answer is bounded in size and time. */
import { parseJson, parseProblem } from './answers.ts'
import { createDeadline, orAborted, throwIfAborted, type Deadline } from './deadline.ts'
import { messageOf } from '../platform/errors.ts'
import { ClientError } from './errors.ts'
import { MAX_DOCUMENT_BYTES, MAX_SMALL_ANSWER_BYTES, TOTAL_TIMEOUT_FACTOR } from './limits.ts'
import type { Shape } from './shapes.ts'

type Signal = AbortSignal | undefined

export interface TransportOptions {
  readonly fetch: typeof fetch
  /** Whether its answers are known to have a body that can be read piece by piece. */
  readonly streams: boolean
  /** How long the node may be silent. */
  readonly timeoutMs: number
  readonly signal: Signal
  /** Codes of a 404 that mean that the node has nothing, which is no failure. Default `ABSENT_CODES`. */
  readonly absentCodes?: ReadonlySet<string>
  /** Value of the header `authorization`. It is for this address alone, so redirects fail. */
  readonly authorization?: string
}

export interface TransportRequest {
  /** From `/v2/` on. */
  readonly path: string
  /** Of an answer with status 200; others are bounded by `MAX_SMALL_ANSWER_BYTES`. */
  readonly maxBytes: number
  readonly signal?: Signal
  /** Makes the request a POST. */
  readonly body?: string | Blob
  /** Of the body. Default `application/json`. */
  readonly contentType?: string
}

export type Transport = ReturnType<typeof createTransport>

const ABSENT_CODES: ReadonlySet<string> = new Set(['unknown_avatar', 'unknown_namespace', 'not_hosted', 'blocked'])

/** @throws ClientError from the calls: `unreachable`, `bad_answer`, `answer_too_large`, `refused`, `aborted` */
export function createTransport(url: string, options: TransportOptions) {
  const { timeoutMs, absentCodes = ABSENT_CODES, authorization } = options
  const patienceMs = timeoutMs * TOTAL_TIMEOUT_FACTOR
  let streams: boolean | undefined = options.streams ? true : undefined

  async function send(
    { path, body, contentType = 'application/json' }: Pick<TransportRequest, 'path' | 'body' | 'contentType'>,
    accept: string,
    deadline: Deadline,
  ): Promise<Response> {
    return await options.fetch(url + path, {
      signal: deadline.signal,
      headers: {
        accept,
        ...(body === undefined ? {} : { 'content-type': contentType }),
        ...(authorization === undefined ? {} : { authorization }),
      },
      ...(body === undefined ? {} : { method: 'POST', body }),
      ...(authorization === undefined ? {} : { redirect: 'error' }),
      // The browser's cache could hand out what the node no longer says.
      cache: 'no-store',
    })
  }

  /** An answer of any status, as text. */
  async function text(request: TransportRequest) {
    const { maxBytes, signal } = request
    const signals = [options.signal, signal]
    throwIfAborted(signals)
    const deadline = createDeadline(signals, timeoutMs, patienceMs)
    try {
      const response = await send(request, 'application/json', deadline)
      const most = response.status === 200 ? maxBytes : MAX_SMALL_ANSWER_BYTES
      return { response, text: await readBounded(response, most, deadline) }
    } catch (error) {
      throwIfAborted(signals)
      if (error instanceof ClientError && error.code !== 'aborted') throw error
      throw unreachable(error, deadline.timedOut)
    } finally {
      deadline.close()
    }
  }

  /** Chunk by chunk: an answer that is too long is not read to its end. */
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

  function checked<T>(text: string, parse: Shape<T>): T {
    if (/^\s*(<|$)/.test(text)) throw badAnswer(text.trim() === '' ? 'it is empty' : 'it is a web page')
    try {
      return parse(parseJson(text))
    } catch (error) {
      throw error instanceof ClientError ? error : badAnswer(messageOf(error))
    }
  }

  /** The error for an answer that no node gives. @param why as the end of a sentence */
  function badAnswer(why: string): ClientError {
    const message = `What ${url} answered is not what an avatar-kv node answers: ${why}. Is the address right?`
    return new ClientError('bad_answer', message, { node: url })
  }

  function tooLong(maxBytes: number): ClientError {
    // Nodes bound all other answers to less than the client takes.
    if (maxBytes !== MAX_DOCUMENT_BYTES) return badAnswer(`it is longer than ${maxBytes} bytes`)
    const message =
      `The answer of ${url} is longer than ${maxBytes} bytes, which is the most that this client reads at once. ` +
      READ_IN_PARTS
    return new ClientError('answer_too_large', message, { node: url })
  }

  function unreachable(error: unknown, timedOut: boolean): ClientError {
    const why = timedOut ? `it was silent for ${timeoutMs / 1000} s, or took too long` : reasonOf(error)
    return new ClientError('unreachable', `Cannot reach the node at ${url}: ${why}.`, { node: url, cause: error })
  }

  function refused(response: Response, text: string): ClientError {
    const { code, message, homes } = parseProblem(text)
    const wait = response.headers.get('retry-after') ?? ''
    const said = code === '' ? message : `${code}: ${message}`
    const kind = code === 'answer_too_large' ? code : 'refused'
    return new ClientError(kind, `The node at ${url} answered with ${response.status}: ${said}`, {
      node: url,
      status: response.status,
      nodeCode: code,
      homes,
      retryAfterSeconds: /^\d{1,4}$/.test(wait) ? Number(wait) : undefined,
    })
  }

  return {
    /** Address without a slash at its end. */
    url,
    /** How long one answer may take in all. */
    patienceMs,
    /** Whether bodies of answers stream; undefined until an answer has shown it. */
    get streams(): boolean | undefined {
      return streams
    },
    text,
    /**
     * @param parse reads and checks the answer; what it throws becomes a ClientError `bad_answer`
     * @returns 404: the node has nothing; 410: the cursor is of another life of the node's store
     */
    async ask<T>(
      request: TransportRequest,
      parse: Shape<T>,
    ): Promise<{ status: 200; value: T } | { status: 404 | 410; value?: never }> {
      const { response, text: said } = await text(request)
      const { status } = response
      if (status === 200) return { status, value: checked(said, parse) }
      if (status === 410) return { status }
      const refusal = refused(response, said)
      if (status === 404 && absentCodes.has(refusal.nodeCode ?? '')) return { status }
      throw refusal
    },
    /** An answer with status 200, its body not read yet. @param deadline ends the body too; its reader touches it */
    async open(path: string, accept: string, deadline: Deadline): Promise<Response> {
      try {
        const response = await send({ path }, accept, deadline)
        if (response.status === 200) return response
        throw refused(response, await readBounded(response, MAX_SMALL_ANSWER_BYTES, deadline))
      } catch (error) {
        throw error instanceof ClientError ? error : unreachable(error, deadline.timedOut)
      }
    },
    badAnswer,
  }
}

const READ_IN_PARTS =
  'If the avatar is that large, read one namespace, or the signed records: by getVerified, page by page from ' +
  '/v2/avatars/{avatar}/records, or as an archive from /v2/archives.'

/** Platforms say `fetch failed`, and why in the cause, if at all. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
  return messageOf(cause) || 'no reason given'
}
