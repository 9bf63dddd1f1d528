/** Whose records are taken: what the operator decides, asked at the door. */
import type { Avatar, SignedRecord, VerifiedRecord } from '../record/types.ts'
import type { IngestResult, Origin } from './types.ts'

export interface Admission {
  /** The avatar that a payload names, by a look at its first bytes; undefined where it names none. */
  peek(payload: Uint8Array): Avatar | undefined
  /** Why nothing of an avatar is taken; undefined where it is. */
  admit(avatar: Avatar): { readonly code: string; readonly message: string; readonly retry: boolean } | undefined
}

export const ADMITS_ALL: Admission = { peek: () => undefined, admit: () => undefined }

/** The verdict on a valid record whose avatar is not admitted. */
export function refusedByAdmission({ admit }: Admission, { id, body }: VerifiedRecord): IngestResult | undefined {
  const refusal = admit(body.avatar)
  if (refusal === undefined) return undefined
  const { code, message, retry } = refusal
  return { id, status: 'refused', code, message, retry }
}

/**
 * Verdicts on a gossip message of which no record would be taken: it is not worth the time to verify it. A message with
 * any other record is looked at whole, for it may be passed on, and then all of it must be valid.
 */
export function refusedUnseen(
  { peek, admit }: Admission,
  records: readonly SignedRecord[],
  origin: Origin,
): IngestResult[] | undefined {
  if (origin !== 'gossip') return undefined
  const results: IngestResult[] = []
  for (const { payload } of records) {
    const avatar = peek(payload)
    const refusal = avatar === undefined ? undefined : admit(avatar)
    if (refusal === undefined) return undefined
    const { code, message, retry } = refusal
    results.push({ id: null, status: 'refused', code, message, retry })
  }
  return results
}
