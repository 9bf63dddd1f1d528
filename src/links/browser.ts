/** Linked keys for pages: `@avatar-kv/client/links` with the condition `browser` (docs/links.md). */
export * from './shared.ts'
export { indexedDbKeyStore } from './indexed-db-keys.ts'
