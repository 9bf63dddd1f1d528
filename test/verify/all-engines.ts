import { nobleEngine } from '../../src/record/engine.ts'
import type { SignatureEngine } from '../../src/record/engine.ts'
import { loadNativeEngine, loadWasmEngine } from '../../src/verify/engines.ts'

/** Every engine, or an error if one does not load here. */
export async function allEngines(): Promise<readonly [SignatureEngine, SignatureEngine, SignatureEngine]> {
  return [await loadNativeEngine(), await loadWasmEngine(), nobleEngine]
}
