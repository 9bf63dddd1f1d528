/** The avatars whose records this node accepts, as the operator decided. Ingest asks for each record. */
import type { Avatar, SignedRecord, VerifiedRecord } from '../record/types.ts'
import type { IngestResult, Origin } from './types.ts'

export interface Admission {
  /** The avatar that a payload names, read from its first bytes; undefined if it names none. */
  peek(payload: Uint8Array): Avatar | undefined
  /** Why records of this avatar are refused; undefined if they are accepted. */
  admit(avatar: Avatar): { readonly code: string; readonly message: string; readonly retry: boolean } | undefined
}

export const ADMITS_ALL: Admission = { peek: () => undefined, admit: () => undefined }

/** The result for a valid record whose avatar is not admitted; undefined if it is. */
export function refusedByAdmission({ admit }: Admission, { id, body }: VerifiedRecord): IngestResult | undefined {
  const refusal = admit(body.avatar)
  if (refusal === undefined) return undefined
  const { code, message, retry } = refusal
  return { id, status: 'refused', code, message, retry }
}

/**
 * Results for a gossip message of which no record would be accepted: the node does not spend time on verifying it. If one
 * record would be accepted, all of them are verified, because the message may be forwarded and must then be valid.
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
