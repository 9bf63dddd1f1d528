/**
 * Asks a signer, and stops waiting once the replica is closed. A person takes time: whether what they signed is still of use is
 * checked afterwards.
 */
import type { Citation, PatchBody, RecordId, VerifiedRecord } from '../record/types.ts'
import type { LocalAvatar } from '../client/local-avatar.ts'
import { signPieces, type Piece, type SigningContext } from '../client/sign-patch.ts'
import type { Signer } from '../client/signers.ts'
import { ReplicaError } from './errors.ts'
import { CLOSING_PATIENCE_MS } from './limits.ts'
import { GONE, SUPERSEDED, UNSEEN } from './reasons.ts'
import type { AvatarReplica } from './avatar-replica.ts'

/** @throws ClientError of the signer, ReplicaError `closed` */
export type Sign = (signer: Signer, tips: readonly Citation[], pieces: readonly Piece[]) => Promise<VerifiedRecord[]>

export function createSign(context: SigningContext, closing: AbortSignal): Sign {
  return async (signer, tips, pieces) => {
    const throwIfClosed = (): void => {
      if (closing.aborted) throw new ReplicaError('closed', 'The replica was closed. Nothing was written.')
    }
    if (signer.silent === true) return await untilClosed(signPieces(context, signer, tips, pieces), CLOSING_PATIENCE_MS)
    throwIfClosed()
    const asking: Signer = {
      avatar: signer.avatar,
      sign(text) {
        // The person is not asked to sign the rest.
        throwIfClosed()
        return signer.sign(text)
      },
    }
    return await untilClosed(signPieces(context, asking, tips, pieces), 0)
  }

  async function untilClosed<T>(signing: Promise<T>, patienceMs: number): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined
    let leave = (): void => {}
    const left = new Promise<never>((_, reject) => {
      const error = new ReplicaError('closed', 'The replica was closed before this was signed. Nothing was written.')
      leave = () => void (timer = setTimeout(reject, patienceMs, error))
    })
    if (closing.aborted) leave()
    closing.addEventListener('abort', leave)
    try {
      return await Promise.race([signing, left])
    } finally {
      closing.removeEventListener('abort', leave)
      clearTimeout(timer)
    }
  }
}

/** The records that a person signs on. */
export interface SigningBase {
  readonly tips: readonly Citation[]
  /** If no node was ever asked about the avatar: the ids of all records that are known, own writes. */
  readonly unread: ReadonlySet<RecordId> | undefined
}

/** @param local the state to build on */
export function signingBaseOf(replica: AvatarReplica, local: LocalAvatar): SigningBase {
  const { tips } = local
  return { tips, unread: replica.isUnseen ? new Set(Array.from(local.records, ({ id }) => id)) : undefined }
}

/**
 * Whether records that were signed on a base would have an effect now, and be seen.
 *
 * @param local the state that they would be added to
 * @returns why not, for people
 */
export function whyOutdated(
  replica: AvatarReplica,
  { unread }: SigningBase,
  records: readonly VerifiedRecord[],
  local: LocalAvatar,
): string | undefined {
  const base = local.base?.counter ?? 0
  if (records.some(({ body }) => body.counter < base)) return SUPERSEDED
  if (unread !== undefined && [...replica.confirmed.records].some(({ id }) => !unread.has(id))) return UNSEEN
  const own = new Set(records.map(({ id }) => id))
  const isThere = ({ counter, id }: Citation): boolean => counter < base || own.has(id) || local.get(id) !== undefined
  return records.every(({ body }) => (body as PatchBody).prev.every(isThere)) ? undefined : GONE
}
