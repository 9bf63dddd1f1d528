import { nobleEngine } from '../record/engine.ts'
import type { EngineName, SignatureEngine } from '../record/engine.ts'
import { passesSelfTest } from '../record/self-test.ts'
import { loadNativeEngine, loadWasmEngine } from './engines.ts'
import { VerifyError } from './errors.ts'

/** Fastest first. */
const LOADERS: readonly { name: EngineName; load: () => Promise<SignatureEngine> }[] = [
  { name: 'libsecp256k1', load: loadNativeEngine },
  { name: 'libsecp256k1-wasm', load: loadWasmEngine },
  { name: 'noble', load: async () => nobleEngine },
]

/**
 * Returns the fastest engine that loads here and passes the self test. The caller logs its `name`.
 *
 * @param preferred the first engine to try; slower ones follow if it does not work
 * @throws VerifyError `no_engine` if none works
 */
export async function selectEngine(preferred: EngineName = 'libsecp256k1'): Promise<SignatureEngine> {
  const causes: unknown[] = []
  const first = LOADERS.findIndex(({ name }) => name === preferred)
  for (const { name, load } of LOADERS.slice(Math.max(first, 0))) {
    try {
      const engine = await load()
      if (passesSelfTest(engine)) return engine
      causes.push(new Error(`${name} failed the self test`))
    } catch (cause) {
      causes.push(cause)
    }
  }
  throw new VerifyError('no_engine', 'No secp256k1 implementation works on this machine: reinstall the packages.', {
    cause: new AggregateError(causes),
  })
}
