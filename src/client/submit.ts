import type { VerifiedRecord } from '../record/types.ts'
import type { SubmitAnswer } from './answers.ts'
import { STORED_STATUSES } from './delivery.ts'
import { ClientError } from './errors.ts'
import type { LocalAvatar } from './local-avatar.ts'
import type { NodeApi } from './node-api.ts'
import type { NodePool } from './node-pool.ts'
import { recordText } from './sign-patch.ts'
import { sendMissing, submitAll } from './submit-records.ts'

/** What became of records that were sent. */
export type Submission =
  | { readonly status: 'stored' | 'pending'; readonly api: NodeApi }
  /** The first record that a snapshot has superseded, by its place. */
  | { readonly status: 'superseded'; readonly first: number }

export interface SubmitComponents {
  readonly pool: NodePool
  /** Whether a snapshot of which a node tells does supersede a record. @throws ClientError */
  readonly isSuperseded: (api: NodeApi, record: VerifiedRecord) => Promise<boolean>
}

/**
 * Hands signed records to the first node that takes them all; the same bytes again to the next where one fails, which is safe.
 * A node that lacks what they cite is given that too, as far as it is known here.
 *
 * @throws ClientError `refused` where every node refuses all of them, `unconfirmed` where some may have been taken
 */
export async function submitToFirst(
  { pool, isSuperseded }: SubmitComponents,
  local: LocalAvatar,
  records: readonly VerifiedRecord[],
  signal: AbortSignal | undefined,
): Promise<Submission> {
  const texts = records.map(recordText)
  let refusal: ClientError | undefined
  let doubt: ClientError | undefined
  for (const api of pool.order()) {
    const results: SubmitAnswer[] = []
    try {
      await submitAll(api, texts, { signal, results })
      const at = results.findIndex(({ status }) => status === 'superseded')
      const superseded = records[at]
      if (superseded !== undefined && (await isSuperseded(api, superseded))) return { status: 'superseded', first: at }
      const refused = results.find(({ status }) => !STORED_STATUSES.has(status))
      if (refused === undefined) {
        const isWaiting = results.some(({ status }) => status === 'pending')
        const status = isWaiting && !(await sendMissing(api, local, signal)) ? 'pending' : 'stored'
        return { status, api }
      }
      throw refusedBy(api, refused)
    } catch (error) {
      if (!(error instanceof ClientError)) throw error
      if (error.code === 'aborted') throw new ClientError('aborted', error.message, { records: texts, cause: error })
      if (isRefusal(error) && !results.some(({ status }) => STORED_STATUSES.has(status))) refusal ??= error
      else {
        doubt ??= error
        if (!isRefusal(error)) pool.reportStatus(api, 'failed')
      }
    }
  }
  if (doubt !== undefined) {
    throw new ClientError(
      'unconfirmed',
      `Signed records were sent, and no node said that it has taken all. Handing them in again is safe. ${doubt.message}`,
      { node: doubt.node, records: texts, cause: doubt },
    )
  }
  const { message = 'No node took it.', node, status, nodeCode, retryAfterSeconds } = refusal ?? {}
  const said = { node, status, nodeCode, retryAfterSeconds }
  throw new ClientError('refused', message, { ...said, records: texts, cause: refusal })
}

/**
 * Whether a node says that it took none of the records. The answer of a proxy in front of it (502, 504), of a node with a
 * fault (500) or of one whose write failed says nothing.
 */
function isRefusal({ code, status, nodeCode = '' }: ClientError): boolean {
  const isSaid = status === 503 && nodeCode !== '' && nodeCode !== 'store_unavailable'
  return code === 'refused' && (status === undefined || status < 500 || isSaid)
}

/** Hands records to one node, whatever it says; true where it has taken all. */
export async function submitTo(
  api: NodeApi,
  local: LocalAvatar,
  records: readonly VerifiedRecord[],
  signal: AbortSignal | undefined,
): Promise<boolean> {
  try {
    const results = await submitAll(api, records.map(recordText), { signal })
    if (results.some(({ status }) => status === 'pending')) await sendMissing(api, local, signal)
    return results.every(({ status }) => STORED_STATUSES.has(status))
  } catch (error) {
    // An end by the caller's signal too: the first node has it all.
    if (error instanceof ClientError) return false
    throw error
  }
}

function refusedBy(api: NodeApi, { status, code, message, retry }: SubmitAnswer): ClientError {
  const why = [code, message].filter((part) => part !== undefined).join(': ') || 'it gave no reason'
  const later = retry === true ? ' It may take it later.' : ''
  return new ClientError('refused', `The node at ${api.url} did not take it (${status}): ${why}${later}`, {
    node: api.url,
    nodeCode: code,
  })
}
