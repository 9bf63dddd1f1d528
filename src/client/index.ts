/**
 * The client for apps, in browsers and in Node: reads avatars' data and checks it, writes it, follows it, over nodes of
 * which none needs to be trusted (docs/client.md).
 *
 * @module @avatar-kv/client
 */
export { createClient } from './client.ts'
export type * from './api.ts'
export { ClientError, type ClientErrorCode, type ClientErrorDetails } from './errors.ts'
export type { FoundHost, FoundHosts } from './find-hosts.ts'
export type { HistoryEntry, ValueChange } from './history.ts'
export { mergePatchOf } from './json.ts'
export type { NodeInfo } from './node-about.ts'
export { memoryRecordCache, type MemoryCacheOptions } from './record-cache.ts'
export { PROFILE_KEY, profileOf, type Profile, type ProfileLink } from './profile.ts'
export { privateKeySigner, type Signer } from './signers.ts'
export { addressOf, walletSigner, type Eip1193Provider, type WalletSignerOptions } from './wallet-signer.ts'
export type * from './types.ts'
export type { WatchEvent } from './watch.ts'
export type { Receipt, ReceiptFields } from '../receipt/receipt.ts'
export type { HostReport, HostsReport } from '../receipt/hosts.ts'
export type { Contradiction, ContradictionRule } from '../receipt/contradictions.ts'
export {
  nobleEngine,
  type EngineName,
  type RecoveryId,
  type SignatureEngine,
  type SignatureJob,
} from '../record/engine.ts'
export { avatarOf, parseAvatar, parseSecretKey } from '../record/keys.ts'
export type { Provenance } from '../state/provenance.ts'
export type { PartBody, PatchBody, RecordBody, SnapshotBody } from '../record/types.ts'
export { LINKS_KEY, type Link, type LinkState } from '../state/links.ts'
export { applyMergePatch } from '../state/merge-patch.ts'
