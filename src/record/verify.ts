/**
 * The only module that makes a VerifiedRecord.
 */
import type { SignatureEngine, SignatureJob } from './engine.ts'
import { RecordError } from './errors.ts'
import { idText, recordDigest } from './id.ts'
import { avatarBytes, notAPoint } from './keys.ts'
import { decodeUncheckedPoint } from './payload.ts'
import { SIGNATURE_BYTES, splitSignature } from './signature.ts'
import type { RecordBody, RecordId, SignedRecord, VerifiedRecord } from './types.ts'

/** What `verifyRecord` accepts. */
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
  const claim = readClaim(engine, network, record, options)
  const { signature, digest, publicKey, recoveryId } = claim
  if (recoveryId === null) return judged(engine, claim, engine.verify(signature, digest, publicKey))
  const recovered = engine.recover(signature, recoveryId, digest)
  // The signature is good under the recovered key, so no further check is needed.
  if (recovered !== null && equal(recovered, publicKey)) return judged(engine, claim, true)
  judged(engine, claim, engine.verify(signature, digest, publicKey))
  throw new RecordError('wrong_recovery', 'The signature is good, but its last byte (v) names another key: flip it.')
}

/** The same, with the error as the result. */
export function verifyOrError(
  engine: SignatureEngine,
  network: string,
  record: SignedRecord,
  options: VerifyOptions,
): VerifiedRecord | RecordError {
  return resultOf(() => verifyRecord(engine, network, record, options))
}

/**
 * Verifies records, with the engine's `verifyMany` if it has that.
 *
 * @param onStep called for each record, and while the engine verifies, with the number of records verified. It may wait; an error
 * that it throws ends the work
 * @returns for each record, in order, what `verifyRecord` returns or throws
 */
export async function verifyRecords(
  engine: SignatureEngine,
  network: string,
  records: readonly SignedRecord[],
  options: VerifyOptions,
  onStep: (done: number) => Promise<void>,
): Promise<(VerifiedRecord | RecordError)[]> {
  const results: (VerifiedRecord | RecordError)[] = []
  const claims = new Map<number, Claim>()
  for (const [at, record] of records.entries()) {
    await onStep(at - claims.size)
    // Without a verdict of `verifyMany` no record is verified.
    results[at] = resultOf(() => {
      if (engine.verifyMany === undefined || record.signature.length !== SIGNATURE_BYTES) {
        return verifyRecord(engine, network, record, options)
      }
      claims.set(at, readClaim(engine, network, record, options))
      throw notSigned()
    })
  }
  if (engine.verifyMany === undefined || claims.size === 0) return results
  const before = records.length - claims.size
  const verdicts = await engine.verifyMany([...claims.values()], (done) => onStep(before + done))
  for (const [place, [at, claim]] of [...claims].entries()) {
    results[at] = resultOf(() => judged(engine, claim, verdicts[place] === true))
  }
  return results
}

/** What a record claims, decoded; its signature is not verified. */
interface Claim extends SignatureJob {
  readonly payload: Uint8Array
  readonly body: RecordBody
  readonly recoveryId: 0 | 1 | null
}

/** @throws RecordError if a rule fails that needs no curve */
function readClaim(engine: SignatureEngine, network: string, record: SignedRecord, options: VerifyOptions): Claim {
  const { payload } = record
  const body = decodeUncheckedPoint(payload, network)
  const { compact, recoveryId } = splitSignature(record.signature, options.recoveryByte)
  const publicKey = avatarBytes(body.avatar)
  return { payload, body, signature: compact, recoveryId, publicKey, digest: recordDigest(payload, engine.keccak256) }
}

/** @throws RecordError if the signature is not good */
function judged(engine: SignatureEngine, claim: Claim, isGood: boolean): VerifiedRecord {
  const { payload, signature, digest, body, publicKey } = claim
  if (isGood) return mintVerified({ payload, signature }, idText(digest), body)
  if (!engine.isPublicKey(publicKey)) throw notAPoint()
  throw notSigned()
}

/**
 * For the verification pool only: makes a VerifiedRecord of a record that a worker thread has verified with `verifyRecord`.
 * The worker's own object cannot cross the thread boundary.
 */
export function mintVerified(record: SignedRecord, id: RecordId, body: RecordBody): VerifiedRecord {
  const { payload, signature } = record
  return { payload, signature, id, body } as VerifiedRecord
}

function notSigned(): RecordError {
  return new RecordError(
    'invalid_signature',
    "The signature is not the avatar's over this payload: sign its exact bytes.",
  )
}

function resultOf(verify: () => VerifiedRecord): VerifiedRecord | RecordError {
  try {
    return verify()
  } catch (error) {
    if (error instanceof RecordError) return error
    throw error
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((each, i) => each === b[i])
}
