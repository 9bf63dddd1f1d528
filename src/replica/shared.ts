/** Exports for both Node and browsers. */
export { ReplicaError, type ReplicaErrorCode } from './errors.ts'
export type { Operation } from './disk.ts'
export type { LevelDatabase, LevelEncoding, LevelIterator, LevelRange } from './level-disk.ts'
export type { ArchiveErrorCode } from '../archive/errors.ts'
export type * from './types.ts'
export { ClientError } from '../client/errors.ts'
export { privateKeySigner, type Signer } from '../client/signers.ts'
export { walletSigner } from '../client/wallet-signer.ts'
