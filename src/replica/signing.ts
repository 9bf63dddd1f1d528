/** Asks a signer, and stops waiting once the replica is closed. */
import type { Citation, VerifiedRecord } from '../record/types.ts'
import { signPieces, type Piece, type SigningContext } from '../client/sign-patch.ts'
import type { Signer } from '../client/signers.ts'
import { ReplicaError } from './errors.ts'
import { CLOSING_PATIENCE_MS } from './limits.ts'

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
