/** What the client asks of one node (docs/protocol.md, "HTTP", version 2). Every answer is checked. */
import type { Receipt } from '../receipt/receipt.ts'
import type { Avatar } from '../record/types.ts'
import * as answers from './answers.ts'
import type { ClaimAnswer, RecordsPage, SubmitAnswer } from './answers.ts'
import type { Deadline } from './deadline.ts'
import { ClientError } from './errors.ts'
import * as limits from './limits.ts'
import { object, type Shape } from './shapes.ts'
import { createTransport, type TransportOptions } from './transport.ts'
import type { AvatarDocument, RecordText } from './types.ts'

type Signal = AbortSignal | undefined

export type NodeApi = ReturnType<typeof createNodeApi>

/** @throws ClientError from the calls: `unreachable`, `bad_answer`, `answer_too_large`, `refused`, `aborted` */
export function createNodeApi(url: string, options: TransportOptions) {
  const transport = createTransport(url, options)

  async function get<T>(path: string, maxBytes: number, parse: Shape<T>, signal: Signal): Promise<T | undefined> {
    return (await transport.ask({ path, maxBytes, signal }, parse)).value
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

  /** What the node claims to show, by its receipt, whose signature is not checked. */
  async function claim(avatar: Avatar, signal?: Signal): Promise<ClaimAnswer | undefined> {
    return await get(path(avatar, 'receipt'), limits.MAX_SMALL_ANSWER_BYTES, answers.parseClaim, signal)
  }

  return {
    /** Address without a slash at its end. */
    url,
    /** How long one answer may take in all. */
    patienceMs: transport.patienceMs,
    /** For the routes that are not here. */
    transport,
    /** Undefined if the node does not have the avatar. */
    document: (avatar: Avatar, signal?: Signal, linked = false): Promise<AvatarDocument | undefined> =>
      get(`${path(avatar)}${linked ? '?linked=true' : ''}`, limits.MAX_DOCUMENT_BYTES, answers.parseDocument, signal),
    content: async (avatar: Avatar, platform: string, identity: string, signal?: Signal, linked = false) =>
      await get(
        `${contentPath(avatar, platform, identity)}${linked ? '&linked=true' : ''}`,
        limits.MAX_DOCUMENT_BYTES,
        object,
        signal,
      ),
    /** A page in order of arrival. `expired`: the cursor is of another life of the node's store; begin again. */
    async records(
      avatar: Avatar,
      cursor: string | null,
      signal?: Signal,
    ): Promise<RecordsPage | 'expired' | undefined> {
      const after = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`
      const request = { path: `${path(avatar, 'records')}?limit=${limits.PAGE_RECORDS}${after}`, signal }
      const { status, value } = await transport.ask({ ...request, maxBytes: limits.MAX_PAGE_BYTES }, answers.parsePage)
      return status === 410 ? 'expired' : value
    },
    claim,
    /** @param parse reads and checks the receipt */
    receipt: (avatar: Avatar, parse: Shape<Receipt>, signal?: Signal) =>
      get(path(avatar, 'receipt'), limits.MAX_SMALL_ANSWER_BYTES, parse, signal),
    async submit(records: readonly RecordText[], signal?: Signal): Promise<SubmitAnswer[]> {
      const body = JSON.stringify({ records: records.map(({ payload, signature }) => ({ payload, signature })) })
      const request = { path: '/v2/records', maxBytes: limits.MAX_PAGE_BYTES, signal, body }
      const { results } = (await transport.ask(request, answers.parseResults)).value ?? {}
      if (results?.length !== records.length) throw transport.badAnswer('it has not one result for each record')
      return results
    },
    /**
     * Opens the stream of an avatar's events.
     *
     * @param after cursor of the last event seen, null for those from now on
     * @param deadline ends the stream too; its reader touches it
     */
    async events(avatar: Avatar, after: string | null, deadline: Deadline): Promise<ReadableStream<Uint8Array>> {
      const query = new URLSearchParams({ avatar, ...(after === null ? {} : { after }) })
      deadline.touch(options.timeoutMs)
      // Without streams the call below would wait for the end of the stream, which has none.
      if (transport.streams === undefined) await claim(avatar, deadline.signal)
      if (transport.streams === false) throw withoutStreams()
      const response = await transport.open(`/v2/events?${query}`, 'text/event-stream', deadline)
      deadline.touch()
      if (response.body === null || !(response.headers.get('content-type') ?? '').startsWith('text/event-stream')) {
        await response.body?.cancel()
        throw transport.badAnswer('it is no stream of events')
      }
      return response.body
    },
  }
}

function withoutStreams(): ClientError {
  return new ClientError(
    'unsupported',
    "This platform's fetch does not stream, so events cannot be followed. Hand in a `fetch` that does, such as expo/fetch in React Native, or call getVerified() from time to time.",
  )
}
