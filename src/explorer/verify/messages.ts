/** The messages between the page and its workers: jobs are packed into one array of bytes, verdicts are one byte each. */
import type { SignatureJob } from '../../record/engine.ts'
import { PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from '../../record/signature.ts'

const DIGEST_BYTES = 32
const JOB_BYTES = SIGNATURE_BYTES + DIGEST_BYTES + PUBLIC_KEY_BYTES

export function packJobs(jobs: readonly SignatureJob[]): Uint8Array<ArrayBuffer> {
  const packed = new Uint8Array(jobs.length * JOB_BYTES)
  for (const [at, { signature, digest, publicKey }] of jobs.entries()) {
    packed.set(signature, at * JOB_BYTES)
    packed.set(digest, at * JOB_BYTES + SIGNATURE_BYTES)
    packed.set(publicKey, at * JOB_BYTES + SIGNATURE_BYTES + DIGEST_BYTES)
  }
  return packed
}

/** @returns views of `packed` */
export function unpackJobs(packed: Uint8Array): SignatureJob[] {
  return Array.from({ length: packed.length / JOB_BYTES }, (_, at) => {
    const bytes = packed.subarray(at * JOB_BYTES, (at + 1) * JOB_BYTES)
    return {
      signature: bytes.subarray(0, SIGNATURE_BYTES),
      digest: bytes.subarray(SIGNATURE_BYTES, SIGNATURE_BYTES + DIGEST_BYTES),
      publicKey: bytes.subarray(SIGNATURE_BYTES + DIGEST_BYTES),
    }
  })
}
