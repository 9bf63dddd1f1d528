/** Brings an avatar to another host, from this page. */
import { ClientError, createClient, type Client, type VerifiedAvatar } from '../../client/index.ts'
import { createNodeApi, type NodeApi } from '../../client/node-api.ts'
import { fetchFor } from '../../client/platform.ts'
import { submitAll } from '../../client/submit-records.ts'
import { STORED_STATUSES } from '../../client/delivery.ts'
import { TIMEOUT_MS } from '../../client/limits.ts'
import { nobleEngine, type Receipt } from '../../client/index.ts'
import { hostApi, hostText } from './host.ts'

export type MoveProgress =
  | { readonly step: 'reading'; readonly records: number }
  | { readonly step: 'sending'; readonly done: number; readonly total: number }
  | { readonly step: 'comparing' }

export interface Moved {
  readonly records: number
  /** Why the new host did not take some, in its own words. */
  readonly refusals: readonly string[]
  /** Whether the new host shows exactly the state that was verified here. */
  readonly isEqual: boolean
  /** What the new host signed; null if it gives none that can be used. */
  readonly receipt: Receipt | null
}

/** Different reasons that are shown. */
const MAX_REFUSALS = 3

/**
 * Copies the signed records of an avatar from this host to another, and asks that one for a receipt. Nothing is deleted. It can be
 * repeated: records that the host has are not stored twice.
 *
 * @throws ClientError with a message for people
 */
export async function moveTo(
  url: string,
  known: VerifiedAvatar,
  onProgress: (progress: MoveProgress) => void,
  signal: AbortSignal,
): Promise<Moved> {
  const { avatar, network } = known
  const from = hostApi(signal)
  const to = createNodeApi(url, { ...fetchFor(undefined), timeoutMs: TIMEOUT_MS, signal })
  const client = createClient({ nodes: [url], network, find: false, engine: nobleEngine, signal })
  const records = await readAll(from, avatar, (count) => onProgress({ step: 'reading', records: count }), signal)
  onProgress({ step: 'sending', done: 0, total: records.length })
  const answers = await asked(url, () =>
    submitAll(to, records, {
      signal,
      waits: true,
      onSent: (done) => onProgress({ step: 'sending', done, total: records.length }),
    }),
  )
  const refused = answers.filter(
    ({ status }) => !STORED_STATUSES.has(status) && status !== 'duplicate' && status !== 'superseded',
  )
  onProgress({ step: 'comparing' })
  const { isEqual, receipt } = await compare(client, known)
  return {
    records: records.length,
    refusals: [...new Set(refused.map(({ message, status }) => message ?? status))].slice(0, MAX_REFUSALS),
    isEqual,
    receipt,
  }
}

async function readAll(
  from: NodeApi,
  avatar: VerifiedAvatar['avatar'],
  onRead: (count: number) => void,
  signal: AbortSignal,
) {
  const records: { readonly payload: string; readonly signature: string }[] = []
  for (let cursor: string | null = null; ;) {
    const page = await from.records(avatar, cursor, signal)
    if (page === undefined || page === 'expired') {
      throw new ClientError('bad_answer', 'This host changed while it was read. Try again.')
    }
    records.push(...page.records)
    onRead(records.length)
    if (page.cursor === null || page.cursor === cursor || page.records.length === 0) return records
    cursor = page.cursor
  }
}

/** The receipt is verified by the client: the signature of the host, and that it says what its records say. */
async function compare(client: Client, { avatar, digest }: VerifiedAvatar) {
  const report = await client.hosts(avatar)
  const host = report.hosts.find(({ receipt }) => receipt !== null)
  return { isEqual: host?.receipt?.digest === digest && host.state === 'equal', receipt: host?.receipt ?? null }
}

/** @throws ClientError that names the other host: messages for this one would say "this host" */
async function asked<T>(url: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    if (!(error instanceof ClientError)) throw error
    throw new ClientError(error.code, `${url}: ${hostText(error).replaceAll(/\bThis host\b/g, 'The host')}`, {
      cause: error,
    })
  }
}
