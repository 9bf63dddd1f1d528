/**
 * The only module that makes a VerifiedRecord.
 */
import type { SignatureEngine } from './engine.ts'
import { RecordError } from './errors.ts'
import { idText, recordDigest } from './id.ts'
import { avatarBytes, notAPoint } from './keys.ts'
import { decodeUncheckedPoint } from './payload.ts'
import { splitSignature } from './signature.ts'
import type { RecordBody, RecordId, SignedRecord, VerifiedRecord } from './types.ts'

export interface VerifyOptions {
  /**
   * Whether signatures of 65 bytes are accepted too, with v in {0, 1, 27, 28}: the key recovered with v must be the
   * avatar. For HTTP and the command line; between nodes signatures have exactly 64 bytes.
   */
  readonly recoveryByte: boolean
}

/**
 * Checks a record: payload, limits, signature. The verdict depends on `network` and `record` alone and is the same with
 * every engine.
 *
 * @param network the network in which the record is judged
 * @returns the record with a signature of 64 bytes, sharing the payload's bytes
 * @throws RecordError with the code of the first rule that fails
 */
export function verifyRecord(
  engine: SignatureEngine,
  network: string,
  record: SignedRecord,
  options: VerifyOptions,
): VerifiedRecord {
  const { payload } = record
  const body = decodeUncheckedPoint(payload, network)
  const { compact, recoveryId } = splitSignature(record.signature, options.recoveryByte)
  const publicKey = avatarBytes(body.avatar)
  const digest = recordDigest(payload, engine.keccak256)
  if (recoveryId === null) {
    if (!engine.verify(compact, digest, publicKey)) throw refusal(engine, publicKey)
  } else {
    const recovered = engine.recover(compact, recoveryId, digest)
    // The signature is good under the recovered key, so no further check is needed.
    if (recovered === null || !equal(recovered, publicKey)) {
      if (!engine.verify(compact, digest, publicKey)) throw refusal(engine, publicKey)
      throw new RecordError(
        'wrong_recovery',
        'The signature is good, but its last byte (v) names another key: flip it.',
      )
    }
  }
  return mintVerified({ payload, signature: compact }, idText(digest), body)
}

/**
 * For the verification pool only: makes a VerifiedRecord of a record that a worker thread has verified with `verifyRecord`.
 * The worker's own object cannot cross the thread boundary.
 */
export function mintVerified(record: SignedRecord, id: RecordId, body: RecordBody): VerifiedRecord {
  const { payload, signature } = record
  return { payload, signature, id, body } as VerifiedRecord
}

function refusal(engine: SignatureEngine, publicKey: Uint8Array): RecordError {
  if (!engine.isPublicKey(publicKey)) return notAPoint()
  return new RecordError(
    'invalid_signature',
    "The signature is not the avatar's over this payload: sign its exact bytes.",
  )
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((each, i) => each === b[i])
}
