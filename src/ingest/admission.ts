/** The avatars whose records this node accepts, as the operator decided. Ingest asks for each record. */
import type { Avatar, RecordId, SignedRecord, VerifiedRecord } from '../record/types.ts'
import type { Source } from '../shares/types.ts'
import type { IngestResult, Origin } from './types.ts'

interface Refusal {
  readonly code: string
  readonly message: string
  readonly retry: boolean
}

export interface Admission {
  /** The avatar that a payload names, read from its first bytes; undefined if it names none. */
  peek(payload: Uint8Array): Avatar | undefined
  /** Why records of this avatar are refused; undefined if they are accepted. */
  admit(avatar: Avatar): Refusal | undefined
  /** Returns the avatars of verified records that are refused; undefined if none can be. Asked once for each submission. */
  screen(
    records: readonly VerifiedRecord[],
    from: { readonly origin: Origin; readonly source: Source },
  ): Promise<ReadonlyMap<Avatar, Refusal>> | undefined
}

export const ADMITS_ALL: Admission = { peek: () => undefined, admit: () => undefined, screen: () => undefined }

/** The result for a record of an avatar that is not admitted; undefined if it is. @param id null if the id is unknown */
export function refusedByAdmission(
  { admit }: Pick<Admission, 'admit'>,
  avatar: Avatar,
  id: RecordId | null,
): IngestResult | undefined {
  const refusal = admit(avatar)
  return refusal && { id, status: 'refused', code: refusal.code, message: refusal.message, retry: refusal.retry }
}

/** The results of `screen` for verified records, in order; undefined for a record that is not refused; none if nothing is. */
export async function refusedByScreen(
  admission: Pick<Admission, 'screen'>,
  records: readonly VerifiedRecord[],
  from: Parameters<Admission['screen']>[1],
): Promise<(IngestResult | undefined)[]> {
  const refusals = await admission.screen(records, from)
  if (refusals === undefined) return []
  return records.map(({ id, body }) => {
    const refusal = refusals.get(body.avatar)
    return refusal && { id, status: 'refused', ...refusal }
  })
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
