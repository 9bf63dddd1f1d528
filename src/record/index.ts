/**
 * Signed records: build, sign, encode, decode and verify them (docs/protocol.md, "Payload" to "Wire"). Pure JavaScript without a network, a
 * clock or randomness; an engine handed in can make it faster.
 *
 * @module @avatar-kv/client/record
 */
export { buildPart, buildPatch, buildSnapshot, type PartParts, type PatchParts, type SnapshotParts } from './build.ts'
export { canonicalText } from './canonical.ts'
export { decodeBatch, encodeBatch, type BatchLimits } from './codec.ts'
export { nobleEngine, type EngineName, type RecoveryId, type SignatureEngine } from './engine.ts'
export { RecordError, type RecordErrorCode } from './errors.ts'
export { recordId, type Keccak256 } from './id.ts'
export { avatarOf, parseAvatar, parseSecretKey, uncompressedAvatar } from './keys.ts'
export { decodePayload, encodePayload } from './payload.ts'
export { parseSignature } from './signature.ts'
export { createSigningKey, signRecord, type SigningKey } from './sign.ts'
export { verifyRecord, type VerifyOptions } from './verify.ts'
export type {
  Avatar,
  Citation,
  JsonObject,
  JsonValue,
  PartBody,
  PatchBody,
  RecordBody,
  RecordId,
  SignedRecord,
  SnapshotBody,
  StateEntry,
  VerifiedRecord,
} from './types.ts'
