import type { Avatar } from '../../record/types.ts'
import { CliError } from './errors.ts'
import { connectionProblem, createNodeClient } from './node-client.ts'
import { printable } from './text.ts'

/** A node that says nothing for so long while it sends is gone. */
const STALL_MS = 60_000
/** An answer other than 200 carries a code and a message. */
const MAX_ERROR_CHARACTERS = 4_096
/** As many as the node takes in one request. */
export const MAX_DOWNLOAD_AVATARS = 100

/**
 * The bytes of an archive as a node sends them (`GET /v2/archives`).
 *
 * @param avatars all that it hosts where undefined
 * @throws CliError `unreachable`, `refused`; also while the bytes are read
 */
export async function downloadArchive(
  url: string,
  options: { readonly avatars: readonly Avatar[] | undefined; readonly history: boolean; readonly gzip: boolean },
): Promise<AsyncIterable<Uint8Array>> {
  // Sees to the form of the address.
  const base = createNodeClient(url).url.replace(/\/+$/, '')
  const query = new URLSearchParams()
  for (const avatar of options.avatars ?? []) query.append('avatar', avatar)
  if (options.history) query.set('history', 'true')
  if (options.gzip) query.set('gzip', 'true')

  const control = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const alive = (): void => {
    clearTimeout(timer)
    timer = setTimeout(() => control.abort(new Error(`it sent nothing for ${STALL_MS / 1000} s`)), STALL_MS)
  }
  const lost = (error: unknown): CliError => {
    clearTimeout(timer)
    return new CliError(
      'unreachable',
      `The archive did not arrive whole from ${url}: ${connectionProblem(error)}. Try again.`,
    )
  }

  alive()
  let response: Response
  try {
    response = await fetch(`${base}/v2/archives?${query}`, { signal: control.signal })
    if (!response.ok) throw refusal(url, response.status, (await response.text()).slice(0, MAX_ERROR_CHARACTERS))
  } catch (error) {
    throw error instanceof CliError ? error : lost(error)
  } finally {
    clearTimeout(timer)
  }
  const { body } = response
  return (async function* () {
    try {
      alive()
      for await (const chunk of body ?? []) {
        clearTimeout(timer)
        yield chunk as Uint8Array
        alive()
      }
    } catch (error) {
      throw error instanceof CliError ? error : lost(error)
    } finally {
      clearTimeout(timer)
      control.abort()
    }
  })()
}

function refusal(url: string, status: number, text: string): CliError {
  let said = 'without a reason'
  let code: string | undefined
  try {
    const answer = JSON.parse(text) as { code?: unknown; message?: unknown }
    if (typeof answer.code === 'string') code = answer.code
    said = `${String(answer.code)}: ${String(answer.message)}`
  } catch {
    // The status alone has to say it.
  }
  return new CliError('refused', `The node at ${url} answered with ${status}: ${printable(said)}`, {
    status,
    code,
    retryAfterSeconds: undefined,
  })
}
