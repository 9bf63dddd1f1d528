import { createHash } from 'node:crypto'
import type { SignatureEngine } from '../../src/record/engine.ts'
import { RecordError } from '../../src/record/errors.ts'
import type { SignedRecord, VerifiedRecord } from '../../src/record/types.ts'
import { verifyRecord } from '../../src/record/verify.ts'
import type { VerifyService } from '../../src/verify/types.ts'
import { text } from './disk.ts'

export const NETWORK = 'main'

/** An engine that checks each signature once: its verdicts are pure, and many nodes see the same records. */
export function rememberingEngine(engine: SignatureEngine): SignatureEngine {
  const verdicts = new Map<string, boolean>()
  return {
    name: engine.name,
    verify(signature, digest, publicKey) {
      const key = text(signature) + text(digest) + text(publicKey)
      let verdict = verdicts.get(key)
      if (verdict === undefined) {
        verdict = engine.verify(signature, digest, publicKey)
        verdicts.set(key, verdict)
      }
      return verdict
    },
    recover: (...given) => engine.recover(...given),
    sign: (digest, secretKey) => engine.sign(digest, secretKey),
    isPublicKey: (publicKey) => engine.isPublicKey(publicKey),
    keccak256: (bytes) => engine.keccak256(bytes),
  }
}

/** Verification without threads, remembering whole verdicts. */
export function rememberingVerifier(engine: SignatureEngine): Pick<VerifyService, 'verify'> {
  const verdicts = new Map<string, VerifiedRecord | RecordError>()
  return {
    async verify(records, options) {
      return records.map((record) => {
        const key = `${options.recoveryByte}${fingerprint(record)}`
        let verdict = verdicts.get(key)
        if (verdict === undefined) {
          verdict = judge(engine, record, options.recoveryByte)
          verdicts.set(key, verdict)
        }
        return verdict
      })
    },
  }
}

function judge(engine: SignatureEngine, record: SignedRecord, recoveryByte: boolean): VerifiedRecord | RecordError {
  try {
    return verifyRecord(engine, NETWORK, record, { recoveryByte })
  } catch (error) {
    if (error instanceof RecordError) return error
    throw error
  }
}

/** Names exact bytes of payload and signature. */
export function fingerprint({ payload, signature }: SignedRecord): string {
  return `${text(signature)}${createHash('sha1').update(payload).digest('hex')}`
}
