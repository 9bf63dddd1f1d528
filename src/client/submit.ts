import type { VerifiedRecord } from '../record/types.ts'
import type { SubmitAnswer } from './answers.ts'
import { ClientError, type RecordText } from './errors.ts'
import { MAX_HEALING_ROUNDS, SUBMIT_CHARACTERS, SUBMIT_RECORDS } from './limits.ts'
import type { LocalAvatar } from './local-avatar.ts'
import type { NodeApi } from './node-api.ts'
import { isNodesFault, type NodePool } from './node-pool.ts'
import { recordText } from './sign-patch.ts'

/** What became of records that were handed in. */
export type Submission =
  | { readonly status: 'stored' | 'pending'; readonly api: NodeApi }
  /** The first record that a snapshot has superseded, by its place. */
  | { readonly status: 'superseded'; readonly first: number }

/**
 * Hands signed records to the first node that takes them; the same bytes again to the next where one fails, which is safe.
 * A node that lacks what they cite is given that too, as far as it is known here.
 *
 * @throws ClientError `refused` where every node refuses, `unconfirmed` where none said what became of them
 */
export async function submitToFirst(
  pool: NodePool,
  local: LocalAvatar,
  records: readonly VerifiedRecord[],
  signal: AbortSignal | undefined,
): Promise<Submission> {
  const texts = records.map(recordText)
  let refusal: ClientError | undefined
  let silence: ClientError | undefined
  for (const api of pool.order()) {
    try {
      const results = await submitAll(api, texts, signal)
      const superseded = results.findIndex(({ status }) => status === 'superseded')
      if (superseded >= 0) return { status: 'superseded', first: superseded }
      const refused = results.find(({ status }) => !TAKEN.has(status))
      if (refused === undefined) {
        const isWaiting = results.some(({ status }) => status === 'pending')
        const status = isWaiting && !(await heal(api, local, signal)) ? 'pending' : 'stored'
        return { status, api }
      }
      refusal ??= refusedBy(api, refused)
    } catch (error) {
      if (!(error instanceof ClientError)) throw error
      if (error.code === 'aborted') throw new ClientError('aborted', error.message, { records: texts, cause: error })
      // After any other answer than 500 nothing was taken.
      if (error.code === 'refused' && error.status !== 500) refusal ??= error
      else {
        silence ??= error
        if (isNodesFault(error)) pool.stood(api, 'failed')
      }
    }
  }
  if (silence !== undefined) {
    throw new ClientError(
      'unconfirmed',
      `Signed records were sent, and no node said what became of them. Handing the same ones in again is safe. ${silence.message}`,
      { ...(silence.node === undefined ? {} : { node: silence.node }), records: texts, cause: silence },
    )
  }
  throw refusal ?? new ClientError('refused', 'No node took it.', { records: texts })
}

/** Hands records to one node, whatever it says; true where it has taken all. */
export async function submitTo(
  api: NodeApi,
  local: LocalAvatar,
  records: readonly VerifiedRecord[],
  signal: AbortSignal | undefined,
): Promise<boolean> {
  try {
    const results = await submitAll(api, records.map(recordText), signal)
    if (results.some(({ status }) => status === 'pending')) await heal(api, local, signal)
    return results.every(({ status }) => TAKEN.has(status))
  } catch (error) {
    if (error instanceof ClientError && error.code !== 'aborted') return false
    throw error
  }
}

const TAKEN: ReadonlySet<string> = new Set(['stored', 'pending', 'duplicate'])

async function submitAll(
  api: NodeApi,
  texts: readonly RecordText[],
  signal: AbortSignal | undefined,
): Promise<SubmitAnswer[]> {
  const results: SubmitAnswer[] = []
  for (let at = 0; at < texts.length;) {
    const batch: RecordText[] = []
    let characters = 0
    for (const text of texts.slice(at, at + SUBMIT_RECORDS)) {
      characters += text.payload.length
      if (batch.length > 0 && characters > SUBMIT_CHARACTERS) break
      batch.push(text)
    }
    results.push(...(await api.submit(batch, signal)))
    at += batch.length
  }
  return results
}

/** Gives a node what it lacks of what it was given, as far as it is known here; true where it then lacks nothing. */
async function heal(api: NodeApi, local: LocalAvatar, signal: AbortSignal | undefined): Promise<boolean> {
  for (let round = 0; round < MAX_HEALING_ROUNDS; round++) {
    const document = await api.document(local.avatar, signal)
    if (document === undefined) return false
    if (document.missing.total === 0) return true
    const known = document.missing.ids.map((id) => local.get(id)).filter((record) => record !== undefined)
    if (known.length === 0) return false
    const results = await submitAll(api, known.map(recordText), signal)
    if (!results.some(({ status }) => status === 'stored' || status === 'pending')) return false
  }
  return false
}

function refusedBy(api: NodeApi, { status, code, message, retry }: SubmitAnswer): ClientError {
  const why = [code, message].filter((part) => part !== undefined).join(': ') || 'it gave no reason'
  const later = retry === true ? ' It may take it later.' : ''
  return new ClientError('refused', `The node at ${api.url} did not take it (${status}): ${why}${later}`, {
    node: api.url,
    ...(code === undefined ? {} : { nodeCode: code }),
  })
}
