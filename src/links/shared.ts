/** Exports for both Node and browsers. */
export { connect } from './connect.ts'
export { link, links, unlink } from './links.ts'
export { memoryKeyStore } from './memory-keys.ts'
export type * from './types.ts'
export { LINKS_KEY, MAX_LINKS, type Link, type LinkState } from '../state/links.ts'
