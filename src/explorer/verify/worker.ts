/** The worker that verifies signatures with libsecp256k1 in WASM, or in JavaScript where WASM does not run. */
import { keccak_256 } from '@noble/hashes/sha3.js'
import { nobleEngine, type SignatureEngine } from '../../record/engine.ts'
import { passesSelfTest } from '../../record/self-test.ts'
import { createWasmEngine } from '../../record/wasm-engine.ts'
import { unpackJobs } from './messages.ts'

async function loadEngine(): Promise<SignatureEngine> {
  try {
    const engine = await createWasmEngine(keccak_256)
    return passesSelfTest(engine) ? engine : nobleEngine
  } catch {
    return nobleEngine
  }
}

void loadEngine().then((engine) => {
  addEventListener('message', ({ data }: MessageEvent<Uint8Array>) => {
    const verdicts = unpackJobs(data).map((job) => engine.verify(job.signature, job.digest, job.publicKey))
    postMessage(Uint8Array.from(verdicts, Number))
  })
  postMessage(engine.name)
})
