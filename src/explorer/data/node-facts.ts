/** What the host says about itself and its peers. None of it is verified. */
import { cut } from './format.ts'

/** Answers of these calls are small. A longer answer is not read to its end. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024
const TIMEOUT_MS = 15_000
/** An archive is as large as it is; the host answers when all of it is on disk. */
const IMPORT_TIMEOUT_MS = 600_000

export interface HostStatus {
  readonly version: string
  readonly network: string
  readonly peer_id: string
  readonly addresses: readonly string[]
  readonly peers: number
  readonly avatars: number
  readonly records: number
  readonly bytes: number
  readonly hosting: { readonly mode: string; readonly policy: string; readonly listed: number }
  readonly subscribers: number
  readonly uptime_seconds: number
}

export interface PeerSync {
  readonly state: string
  readonly last: { readonly finished_at: number; readonly outcome: string; readonly differences: number } | null
  readonly failures: number
  readonly error: string | null
  readonly records_in: number
  readonly records_out: number
}

export interface HostPeer {
  readonly peer_id: string
  readonly addresses: readonly string[]
  readonly direction: string
  readonly gossip: boolean
  readonly connected_at: number
  readonly agent: string | null
  readonly gossip_records_in: number
  readonly sync: PeerSync | null
}

export interface ImportResult {
  readonly records: number
  readonly stored: number
  readonly pending: number
  readonly duplicate: number
  readonly superseded: number
  readonly refused: number
  readonly invalid: number
  readonly sound: boolean
  readonly refusals: Readonly<Record<string, { readonly count: number; readonly message: string }>>
  readonly faults: {
    readonly total: number
    readonly first: readonly { readonly line: number; readonly message: string }[]
  }
}

/** `offline`: no answer came. `refused`: the host said no, `message` says why. */
export class HostError extends Error {
  override readonly name = 'HostError'
  readonly code: 'offline' | 'refused'
  /** Of HTTP, where an answer came. */
  readonly status: number | undefined

  constructor(code: 'offline' | 'refused', message: string, status?: number) {
    super(message)
    this.code = code
    this.status = status
  }
}

export async function readStatus(signal?: AbortSignal): Promise<HostStatus> {
  const answer = await ask<unknown>('v2/status', {}, signal)
  if (!isStatus(answer)) throw notUnderstood()
  return answer
}

export async function readPeers(signal?: AbortSignal): Promise<readonly HostPeer[]> {
  const { peers } = await ask<{ peers?: unknown }>('v2/peers', {}, signal)
  if (!Array.isArray(peers) || !peers.every(isPeer)) throw notUnderstood()
  return peers
}

export interface AvatarsPage {
  readonly avatars: readonly string[]
  /** Where the next page begins; null at the end. */
  readonly next: string | null
}

/** A page of the avatars that the host holds, in order of their keys. */
export async function readAvatars(limit: number, after: string, signal?: AbortSignal): Promise<AvatarsPage> {
  const query = new URLSearchParams({ limit: String(limit), ...(after === '' ? {} : { cursor: after }) }).toString()
  const { avatars, cursor } = await ask<{ avatars?: unknown; cursor?: unknown }>(`v2/avatars?${query}`, {}, signal)
  if (!Array.isArray(avatars) || !(cursor === null || isText(cursor))) throw notUnderstood()
  const names = avatars.map((each: unknown) => (isRecord(each) ? each['avatar'] : each))
  if (!names.every(isText)) throw notUnderstood()
  return { avatars: names.slice(0, limit), next: cursor }
}

/** Avatars that claim an account as theirs. */
export async function findByIdentity(
  platform: string,
  identity: string,
  signal?: AbortSignal,
): Promise<readonly { readonly avatar: string; readonly content: unknown }[]> {
  const query = new URLSearchParams({ platform, identity }).toString()
  const { values } = await ask<{ values?: unknown }>(`v1/kv/by_identity?${query}`, {}, signal)
  if (!Array.isArray(values) || !values.every((each) => isRecord(each) && isText(each['avatar']))) throw notUnderstood()
  return values as { avatar: string; content: unknown }[]
}

const isText = (value: unknown): value is string => typeof value === 'string'
const isNumber = (value: unknown): value is number => typeof value === 'number'
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText)
const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null

function isStatus(value: unknown): value is HostStatus {
  if (!isRecord(value) || !isRecord(value['hosting'])) return false
  const { mode, policy, listed } = value['hosting']
  return (
    ['version', 'network', 'peer_id'].every((name) => isText(value[name])) &&
    ['peers', 'avatars', 'records', 'bytes', 'subscribers', 'uptime_seconds'].every((name) => isNumber(value[name])) &&
    isTexts(value['addresses']) &&
    isText(mode) &&
    isText(policy) &&
    isNumber(listed)
  )
}

function isPeer(value: unknown): value is HostPeer {
  if (!isRecord(value)) return false
  const { peer_id, direction, connected_at, agent, gossip_records_in, sync } = value
  return (
    isText(peer_id) &&
    isText(direction) &&
    isNumber(connected_at) &&
    isNumber(gossip_records_in) &&
    (agent === null || isText(agent)) &&
    (sync === null || isSync(sync))
  )
}

function isSync(value: unknown): value is PeerSync {
  if (!isRecord(value)) return false
  const { state, last, failures, error, records_in, records_out } = value
  return (
    isText(state) &&
    [failures, records_in, records_out].every(isNumber) &&
    (error === null || isText(error)) &&
    (last === null || (isRecord(last) && isNumber(last['finished_at']) && isText(last['outcome'])))
  )
}

export const importArchive = (file: Blob): Promise<ImportResult> =>
  ask<ImportResult>(
    'v2/archives',
    { method: 'POST', headers: { 'content-type': 'application/x-ndjson' }, body: file },
    undefined,
    IMPORT_TIMEOUT_MS,
  )

/** @param path relative to the page: a proxy may serve the host below a path */
async function ask<T>(path: string, init: RequestInit, signal?: AbortSignal, timeoutMs = TIMEOUT_MS): Promise<T> {
  const timeout = AbortSignal.timeout(timeoutMs)
  let response: Response
  let text: string
  try {
    response = await fetch(path, {
      ...init,
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      cache: 'no-store',
    })
    text = await readBounded(response)
  } catch (error) {
    if (signal?.aborted === true || error instanceof HostError) throw error
    throw new HostError(
      'offline',
      'This host does not answer. It may be down, or this device is offline. Check the connection of this device.',
    )
  }
  const { ok, status } = response
  let answer: unknown
  try {
    answer = JSON.parse(text)
  } catch {
    // A proxy, or the login page of a network, answers with HTML.
  }
  if (typeof answer !== 'object' || answer === null) {
    throw ok ? notUnderstood() : refusedBy(status)
  }
  if (ok) return answer as T
  const message = 'message' in answer && typeof answer.message === 'string' ? answer.message : ''
  throw message === '' ? refusedBy(status) : new HostError('refused', cut(message), status)
}

/** An answer without a message of the node: mostly a proxy's. */
function refusedBy(status: number): HostError {
  const advice =
    status === 413
      ? 'A proxy before this host does not let so many bytes through. Ask the operator to raise its limit.'
      : status === 429
        ? 'Too many requests came from this address. Wait a minute.'
        : status >= 500
          ? 'The host, or a proxy before it, does not work at the moment. Wait, or ask the operator.'
          : 'Reload the page. If that does not help, ask the operator of the host.'
  return new HostError('refused', `This host answered with the HTTP status ${status}. ${advice}`, status)
}

function notUnderstood(): HostError {
  return new HostError(
    'refused',
    'This host answered with something that is not the answer of a node. The page may be older than the host, or a proxy or the login page of a network answered. Reload the page.',
  )
}

async function readBounded(response: Response): Promise<string> {
  if (response.body === null) return ''
  const reader = response.body.getReader()
  const decoder = new TextDecoder()
  let bytes = 0
  let text = ''
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return text + decoder.decode()
      bytes += value.byteLength
      if (bytes > MAX_ANSWER_BYTES)
        throw new HostError(
          'refused',
          `The answer of this host is longer than ${MAX_ANSWER_BYTES / 1024 / 1024} MiB, and was not read. Ask the operator of the host.`,
        )
      text += decoder.decode(value, { stream: true })
    }
  } finally {
    reader.cancel().catch(() => {})
  }
}
