import { bytesToHex } from '@noble/hashes/utils.js'
import { buildPatch } from '../record/build.ts'
import type { SignatureEngine } from '../record/engine.ts'
import { RecordError } from '../record/errors.ts'
import { MAX_PREV } from '../record/limits.ts'
import { citationOf, compareCitations } from '../record/order.ts'
import { encodePayload } from '../record/payload.ts'
import { parseSignature } from '../record/signature.ts'
import type { Avatar, Citation, JsonObject, SignedRecord, VerifiedRecord } from '../record/types.ts'
import { verifyRecord } from '../record/verify.ts'
import { orAborted, throwIfAborted } from './deadline.ts'
import { ClientError } from './errors.ts'
import { signWith, type Signer } from './signers.ts'
import { invalidChange } from './split-patch.ts'
import type { RecordText, WrittenRecord } from './types.ts'

/** A patch to one namespace that fits into a record. */
export interface Piece {
  readonly platform: string
  readonly identity: string
  readonly patch: JsonObject
}

export interface SigningContext {
  readonly network: string
  readonly engine: SignatureEngine
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number
  /** End the waiting for the signer. */
  readonly signals?: readonly (AbortSignal | undefined)[]
}

/**
 * Signs patches one after the other, each on the one before it, the first on all that was seen.
 *
 * @param tips all tips of the verified state, in order
 * @returns verified, so that what the signer made is what nodes will take
 * @throws ClientError `invalid_change`, `bad_signature`, `rejected`, `wallet`, `aborted`
 */
export async function signPieces(
  context: SigningContext,
  signer: Signer,
  tips: readonly Citation[],
  pieces: readonly Piece[],
): Promise<VerifiedRecord[]> {
  let open = [...tips]
  const records: VerifiedRecord[] = []
  for (const piece of pieces) {
    const record = await signPayload(context, signer, patchPayload(context, signer.avatar, open, piece))
    records.push(record)
    // Tips beyond those that fit are cited by the records that follow.
    open = [...open.slice(0, -MAX_PREV), citationOf(record)].sort(compareCitations)
  }
  return records
}

/**
 * The payload of a patch, to the byte, as it will be signed.
 *
 * @param tips all tips of the state that the patch builds on, in order
 * @throws ClientError `invalid_change`
 */
export function patchPayload(
  { network, now }: Pick<SigningContext, 'network' | 'now'>,
  avatar: Avatar,
  tips: readonly Citation[],
  piece: Piece,
): Uint8Array {
  try {
    const createdAt = Math.floor(now() / 1000)
    return encodePayload(buildPatch({ ...piece, avatar, network, prev: tips, createdAt, uuid: randomUuid() }))
  } catch (error) {
    if (error instanceof RecordError) throw invalidChange(error)
    throw error
  }
}

/** @throws ClientError `bad_signature`, `rejected`, `wallet`, `aborted` */
export async function signPayload(
  context: Pick<SigningContext, 'network' | 'engine' | 'signals'>,
  signer: Signer,
  payload: Uint8Array,
): Promise<VerifiedRecord> {
  const { signals = [] } = context
  throwIfAborted(signals)
  const signature = await orAborted(signWith(signer, new TextDecoder().decode(payload)), signals)
  return checkSignature(context, signer.avatar, payload, signature)
}

function checkSignature(
  { network, engine }: Pick<SigningContext, 'network' | 'engine'>,
  avatar: Avatar,
  payload: Uint8Array,
  signature: Uint8Array | string,
): VerifiedRecord {
  try {
    const bytes = typeof signature === 'string' ? parseSignature(signature) : signature
    return verifyRecord(engine, network, { payload, signature: bytes }, { recoveryByte: true })
  } catch (error) {
    if (!(error instanceof RecordError)) throw error
    throw new ClientError(
      'bad_signature',
      `What the signer returned is not a signature of ${avatar} over the text: ${error.message}`,
      { nodeCode: error.code, cause: error },
    )
  }
}

/** A record as text, ready to be sent. */
export function recordText({ payload, signature }: SignedRecord): RecordText {
  return { payload: new TextDecoder().decode(payload), signature: `0x${bytesToHex(signature)}` }
}

/** A record that was signed here, as callers get it. */
export function writtenRecord(record: VerifiedRecord): WrittenRecord {
  return { ...citationOf(record), ...recordText(record) }
}

/** `crypto.randomUUID` is there on secure origins only; a node in a home network is none. */
function randomUuid(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  // RFC 9562, section 5.4: version 4, variant 10.
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  return bytesToHex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
