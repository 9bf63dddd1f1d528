/** Answers that are read piece by piece, however long they are: archives and backups. */
import type { Avatar } from '../record/types.ts'
import { createDeadline } from './deadline.ts'
import { ClientError } from './errors.ts'
import type { Transport } from './transport.ts'

/** A node that sends nothing for so long is gone. */
const STALL_MS = 60_000
/** setTimeout takes no longer time. */
const FOREVER_MS = 2 ** 31 - 1
/** As many as the node takes in one request. */
export const MAX_DOWNLOAD_AVATARS = 100

/** `GET /v2/archives`. @param options.avatars undefined: all that the node hosts */
export function archivePath(options: {
  readonly avatars: readonly Avatar[] | undefined
  readonly history: boolean
  readonly gzip: boolean
}): string {
  const query = new URLSearchParams()
  for (const avatar of options.avatars ?? []) query.append('avatar', avatar)
  if (options.history) query.set('history', 'true')
  if (options.gzip) query.set('gzip', 'true')
  return `/v2/archives?${query}`
}

/**
 * Opens an answer. The node must not be silent for longer than a minute; the reader may take its time.
 *
 * @param what what is read, for messages: `The archive`
 * @throws ClientError; `unreachable` also while the bytes are read, where the connection breaks
 */
export async function download(
  transport: Transport,
  path: string,
  what: string,
): Promise<{ readonly chunks: AsyncIterable<Uint8Array>; close(): void }> {
  const deadline = createDeadline([], STALL_MS)
  let response: Response
  try {
    response = await transport.open(path, '*/*', deadline)
  } catch (error) {
    deadline.abort()
    throw error
  }
  deadline.touch(FOREVER_MS)
  async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    const reader = response.body?.getReader()
    try {
      for (;;) {
        deadline.touch()
        const read = await reader?.read()
        deadline.touch(FOREVER_MS)
        if (read === undefined || read.done) return
        yield read.value
      }
    } catch (error) {
      const why = deadline.timedOut ? ` It sent nothing for ${STALL_MS / 1000} s.` : ''
      const message = `${what} did not arrive whole from ${transport.url}.${why} Try again.`
      throw new ClientError('unreachable', message, { node: transport.url, cause: error })
    } finally {
      deadline.abort()
    }
  }
  return { chunks: chunks(), close: () => deadline.abort() }
}
