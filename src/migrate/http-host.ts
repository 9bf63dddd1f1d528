import { messageOf } from '../platform/errors.ts'
import { createDeadline } from '../client/deadline.ts'
import { ClientError } from '../client/errors.ts'
import { framesOf } from '../client/event-stream.ts'
import type { NodeApi } from '../client/node-api.ts'
import { readStatus } from '../client/node-info.ts'
import { HostError } from './errors.ts'
import type { AvatarStatus, HttpHost } from './types.ts'
import { readReceipt } from '../receipt/hosts.ts'
import type { Avatar } from '../record/types.ts'

/** For the calls of `api`: a request with 500 records on a busy node, a page with the largest records on a slow line. */
export const HTTP_TIMEOUT_MS = 60_000
/** An event stream is silent for 15 s at most (docs/protocol.md, "Events"). */
const SILENCE_MS = 45_000
/** Codes of an answer that is too large, or cannot be read. */
const UNREADABLE: ReadonlySet<string> = new Set(['bad_answer', 'answer_too_large'])
/** Statuses with which a busy node answers. */
const BUSY_STATUSES: ReadonlySet<number> = new Set([408, 429, 503])

/**
 * A host of a migration, reached by HTTP.
 *
 * @param url the address as a person typed it
 * @param describe returns what an error means for the person who migrates
 */
export function createHttpHost(url: string, api: NodeApi, describe: (error: ClientError) => string): HttpHost {
  /** Whether the document of the avatar was too large to read. Then its receipt says enough. */
  let isLarge = false

  /** Calls the host. Turns errors of the client into errors of a host. */
  async function told<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call()
    } catch (error) {
      if (!(error instanceof ClientError)) throw error
      const isBusy = BUSY_STATUSES.has(error.status ?? 0)
      throw new HostError(describe(error), {
        code: error.nodeCode,
        isUnreachable: error.code === 'unreachable',
        ...(isBusy ? { retry: { afterSeconds: error.retryAfterSeconds } } : {}),
      })
    }
  }

  async function avatarStatus(avatar: Avatar): Promise<AvatarStatus | undefined> {
    if (isLarge) return receiptStatus(avatar)
    try {
      const answer = await api.document(avatar)
      if (answer === undefined) return undefined
      const { head, digest, pending, missing, tips, base } = answer
      return { head, digest, records: null, gaps: { pending, ...missing }, tips, base }
    } catch (error) {
      const isAnswer = error instanceof ClientError && UNREADABLE.has(error.code)
      const short = isAnswer ? await receiptStatus(avatar).catch(() => undefined) : undefined
      if (short === undefined) throw error
      isLarge = true
      return short
    }
  }

  async function receiptStatus(avatar: Avatar): Promise<AvatarStatus | undefined> {
    const receipt = await api.receipt(avatar, (value) => readReceipt(avatar, value))
    if (receipt === undefined) return undefined
    const { head, id, digest, records } = receipt
    return { head, digest, records, gaps: null, tips: id === null ? [] : [{ counter: head, id }], base: null }
  }

  return {
    url,
    status: () =>
      told(async () => {
        const { network, epoch } = await readStatus(api.transport)
        return { network, epoch: typeof epoch === 'string' ? epoch : '' }
      }),
    avatarStatus: (avatar) => told(() => avatarStatus(avatar)),
    records: (avatar, cursor) =>
      told(async () => (await api.records(avatar, cursor)) ?? { records: [], digest: '', cursor: null }),
    submit: (records) => told(() => api.submit(records)),
    follow: (avatar, changed, signal) => follow(api, avatar, changed, signal),
  }
}

/** Listens to server-sent events. Their content does not matter, only that they come. */
async function follow(api: NodeApi, avatar: Avatar, changed: () => void, signal: AbortSignal): Promise<void> {
  const deadline = createDeadline([signal], SILENCE_MS)
  try {
    for await (const frames of framesOf(await api.events(avatar, null, deadline), deadline)) {
      if (frames.some(({ event }) => event !== '')) changed()
    }
  } catch (error) {
    if (deadline.signal.aborted) return
    // The watch looks at a node without such a stream regularly.
    if (error instanceof ClientError && (error.code === 'refused' || error.code === 'bad_answer')) return
    throw new HostError(messageOf(error), { isUnreachable: true })
  } finally {
    deadline.abort()
  }
}
