/**
 * Apps that write without a prompt for each change: linked keys, in Node. Bundlers for browsers use `browser.ts` instead.
 *
 * @module @avatar-kv/client/links
 */
export * from './shared.ts'
export { fileKeyStore } from './file-keys.ts'
