/** The results that senders get for records: codes from a closed set, and messages that say what to do. */
import { yieldToEventLoop } from '../platform/yield.ts'
import { RecordError, type RecordErrorCode } from '../record/errors.ts'
import { recordId } from '../record/id.ts'
import type { RecordId, SignedRecord } from '../record/types.ts'
import type { CommitResult } from '../store/types.ts'
import { MAX_AHEAD_SECONDS } from './limits.ts'
import type { IngestResult } from './types.ts'

/** For the valid records of an atomic submission that has an invalid one. */
export const BATCH_INVALID = {
  status: 'refused',
  code: 'batch_invalid',
  message: 'Another record of this batch is invalid, so none of it was taken. Send it without that one.',
  retry: true,
} as const

type RefusalCode = NonNullable<CommitResult['code']>
type QuotaCode = 'avatar_quota' | 'node_quota'

const REFUSALS: Readonly<Record<Exclude<RefusalCode, QuotaCode>, string>> = {
  too_many_pending:
    'This avatar has 1,024 records here that wait for others which they cite. Send those first, then this one again.',
  too_many_incomplete:
    'This avatar has 16 snapshots here that lack parts. Send those parts first, then this snapshot again.',
}

/** Faults of records whose payload is valid, so they have an id. */
const SIGNATURE_FAULTS: ReadonlySet<RecordErrorCode> = new Set(['invalid_signature', 'high_s', 'wrong_recovery'])

/**
 * Payload bytes hashed before yielding to the event loop. An id costs about 0.1 ms for each KiB here, and a stranger can send
 * 16 MiB of invalid records at once.
 */
const HASHED_BEFORE_PAUSE_BYTES = 131_072

/**
 * Results for the invalid records among `records`; undefined for the others.
 *
 * @param checked what verification said of each, in order
 */
export async function explainAllInvalid(
  records: readonly SignedRecord[],
  checked: readonly unknown[],
): Promise<(IngestResult | undefined)[]> {
  const results: (IngestResult | undefined)[] = []
  let hashed = 0
  for (const [at, { payload }] of records.entries()) {
    const fault = checked[at]
    if (!(fault instanceof RecordError)) {
      results.push(undefined)
      continue
    }
    const { code, message } = fault
    let id: RecordId | null = null
    if (SIGNATURE_FAULTS.has(code)) {
      if (hashed > 0 && hashed + payload.length > HASHED_BEFORE_PAUSE_BYTES) {
        await yieldToEventLoop()
        hashed = 0
      }
      hashed += payload.length
      id = recordId(payload)
    }
    results.push({ id, status: 'invalid', code, message })
  }
  return results
}

export function createdAhead(id: RecordId): IngestResult {
  const message = `created_at is more than ${MAX_AHEAD_SECONDS} s ahead of this node's clock. Check yours, or send it later.`
  return { id, status: 'refused', code: 'created_at_ahead', message, retry: true }
}

export function explainCommit(id: RecordId, result: CommitResult): IngestResult {
  const { status, code } = result
  if (status === 'refused') {
    return { id, status, retry: true, ...(code === undefined ? {} : { code, message: refusal(code, result) }) }
  }
  if (status !== 'superseded') return { id, status }
  const message =
    'A snapshot with a greater counter has taken the place of this part of the history. ' +
    'Read the avatar again and sign the change on its current tips.'
  return { id, status, message }
}

function refusal(code: RefusalCode, { quota }: CommitResult): string {
  if (code !== 'avatar_quota' && code !== 'node_quota') return REFUSALS[code]
  const what = code === 'avatar_quota' ? 'of this avatar' : 'of all avatars together'
  const use = quota === undefined ? '' : ` (${quota.used} of ${quota.limit} ${quota.unit} are used)`
  return (
    `This node keeps no more ${what}${use}. Make room by signing a snapshot of the avatar (avatar-kv snapshot), ` +
    'or ask the operator of this node for more, or take the avatar to another node.'
  )
}
