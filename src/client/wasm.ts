/**
 * A faster engine for the client and the replica. It is an entry of its own, because it is three times as large as the client:
 * 132 KB with gzip (docs/client.md).
 *
 * @module @avatar-kv/client/wasm
 */
export { loadWasmEngine } from '../record/wasm-engine.ts'
