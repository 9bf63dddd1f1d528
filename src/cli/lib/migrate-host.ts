import { messageOf } from '../../platform/errors.ts'
import { HostError } from '../../migrate/errors.ts'
import type { HttpHost, AvatarStatus } from '../../migrate/types.ts'
import type { Avatar } from '../../record/types.ts'
import { CliError } from './errors.ts'
import { createNodeClient } from './node-client.ts'

/** A request with 500 records on a busy node; a page with the greatest records on a slow line. */
const TIMEOUT_MS = 60_000
/** An event stream is silent for 15 s at most (docs/protocol.md, "Events"). */
const SILENCE_MS = 45_000
/** Statuses with which a node asks for patience. */
const BUSY_STATUSES: ReadonlySet<number> = new Set([408, 429, 503])

/**
 * A host of a migration, by the node client.
 *
 * @throws CliError `usage` where the URL cannot be used
 */
export function createHttpHost(url: string): HttpHost {
  const client = createNodeClient(url, { timeoutMs: TIMEOUT_MS })
  /** Whether the document of an avatar was more than is read: then its receipt tells enough. */
  let isLarge = false

  async function avatarStatus(avatar: Avatar): Promise<AvatarStatus | undefined> {
    if (isLarge) return receiptStatus(avatar)
    try {
      const answer = await client.avatar(avatar)
      if (answer === undefined) return undefined
      const { head, digest, pending, missing, tips, base } = answer
      return { head, digest, records: null, gaps: { pending, ...missing }, tips, base }
    } catch (error) {
      const isAnswer = error instanceof CliError && error.code === 'refused' && error.refusal === undefined
      const short = isAnswer ? await receiptStatus(avatar).catch(() => undefined) : undefined
      if (short === undefined) throw error
      isLarge = true
      return short
    }
  }

  async function receiptStatus(avatar: Avatar): Promise<AvatarStatus | undefined> {
    const receipt = await client.receipt(avatar)
    if (receipt === undefined) return undefined
    const { head, id, digest, records } = receipt
    return { head, digest, records, gaps: null, tips: id === null ? [] : [{ counter: head, id }], base: null }
  }

  return {
    url,
    status: () =>
      told(async () => {
        const { network, epoch } = await client.status()
        return { network, epoch: typeof epoch === 'string' ? epoch : '' }
      }),
    avatarStatus: (avatar) => told(() => avatarStatus(avatar)),
    records: (avatar, cursor) => told(() => client.records(avatar, cursor)),
    submit: (records) => told(() => client.submit(records)),
    follow: (avatar, changed, signal) =>
      follow(`${url.replace(/\/+$/, '')}/v2/events?avatar=${avatar}`, changed, signal),
  }
}

/** Calls, and puts errors into the words of a migration. */
async function told<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    if (!(error instanceof CliError)) throw error
    const { refusal } = error
    const isBusy = refusal !== undefined && BUSY_STATUSES.has(refusal.status)
    throw new HostError(error.message, {
      code: refusal?.code,
      isUnreachable: error.code === 'unreachable',
      ...(isBusy ? { retry: { afterSeconds: refusal.retryAfterSeconds } } : {}),
    })
  }
}

/** Listens to server-sent events; what they say is not needed, only that there are some. */
async function follow(address: string, changed: () => void, signal: AbortSignal): Promise<void> {
  const silence = new AbortController()
  const end = (): void => silence.abort()
  let timer = setTimeout(end, SILENCE_MS)
  signal.addEventListener('abort', end)
  try {
    const response = await fetch(address, { signal: silence.signal, headers: { accept: 'text/event-stream' } })
    if (!response.ok) return await response.body?.cancel()
    for await (const chunk of response.body ?? []) {
      clearTimeout(timer)
      timer = setTimeout(end, SILENCE_MS)
      if (Buffer.from(chunk).includes('event:')) changed()
    }
  } catch (error) {
    if (silence.signal.aborted) return
    throw new HostError(messageOf(error), { isUnreachable: true })
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', end)
    silence.abort()
  }
}
