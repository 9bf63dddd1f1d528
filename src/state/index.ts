/**
 * The state that a set of records makes (docs/protocol.md, "From records to state"): the same for every order in which the records came. Pure
 * JavaScript without a network, a clock or randomness.
 *
 * @module @avatar-kv/client/state
 */
export { foldRecords, type Fold } from './fold.ts'
export { findForks, type Fork } from './forks.ts'
export {
  isLinkableKey,
  linkedDigestOf,
  linkedView,
  LINKS_KEY,
  linksIn,
  linksOf,
  MAX_LINKS,
  type Link,
  type LinkableState,
  type LinkedView,
  type LinkState,
} from './links.ts'
export { applyMergePatch } from './merge-patch.ts'
export type { RecordToAdd } from './state-source.ts'
