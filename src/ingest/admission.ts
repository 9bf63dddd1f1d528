/** The avatars whose records this node accepts, as the operator decided. Ingest asks for each record. */
import type { Avatar, RecordId, SignedRecord } from '../record/types.ts'
import type { IngestResult, Origin } from './types.ts'

export interface Admission {
  /** The avatar that a payload names, read from its first bytes; undefined if it names none. */
  peek(payload: Uint8Array): Avatar | undefined
  /** Why records of this avatar are refused; undefined if they are accepted. */
  admit(avatar: Avatar): { readonly code: string; readonly message: string; readonly retry: boolean } | undefined
}

export const ADMITS_ALL: Admission = { peek: () => undefined, admit: () => undefined }

/** The result for a record of an avatar that is not admitted; undefined if it is. @param id null if the id is unknown */
export function refusedByAdmission(
  { admit }: Pick<Admission, 'admit'>,
  avatar: Avatar,
  id: RecordId | null,
): IngestResult | undefined {
  const refusal = admit(avatar)
  return refusal && { id, status: 'refused', code: refusal.code, message: refusal.message, retry: refusal.retry }
}

/**
 * Results for a gossip message of which no record would be accepted: the node does not spend time on verifying it. If one
 * record would be accepted, all of them are verified, because the message may be forwarded and must then be valid.
 */
export function refusedUnseen(
  admission: Admission,
  records: readonly SignedRecord[],
  origin: Origin,
): IngestResult[] | undefined {
  if (origin !== 'gossip') return undefined
  const results: IngestResult[] = []
  for (const { payload } of records) {
    const avatar = admission.peek(payload)
    const refused = avatar && refusedByAdmission(admission, avatar, null)
    if (refused === undefined) return undefined
    results.push(refused)
  }
  return results
}
