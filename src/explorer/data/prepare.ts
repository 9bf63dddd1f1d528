/** A change as it will be signed, made here, so that nobody signs what they cannot see. */
import {
  applyMergePatch,
  type Avatar,
  type Citation,
  type JsonObject,
  type VerifiedAvatar,
} from '../../client/index.ts'
import { nobleEngine } from '../../record/engine.ts'
import { buildPatch } from '../../record/build.ts'
import { encodePayload } from '../../record/payload.ts'
import { parseSignature } from '../../record/signature.ts'
import { verifyRecord } from '../../record/verify.ts'
import type { Signer } from '../../client/index.ts'
import { citationsOf, type Waiting } from './waiting.ts'

export interface Prepared {
  readonly avatar: Avatar
  readonly network: string
  readonly platform: string
  readonly identity: string
  readonly patch: JsonObject
  /** What is signed, to the byte. */
  readonly text: string
}

export interface Target {
  readonly platform: string
  readonly identity: string
}

/**
 * @param known the state as it was verified here
 * @param waiting what was signed here and is not taken yet: it comes first
 * @throws RecordError where the change breaks a rule of the protocol; its message says which
 */
export function prepare(
  known: VerifiedAvatar,
  waiting: readonly Waiting[],
  target: Target,
  patch: JsonObject,
): Prepared {
  const { avatar, network } = known
  const body = buildPatch({
    ...target,
    avatar,
    network,
    patch,
    prev: openEnds(known, waiting),
    createdAt: Math.floor(Date.now() / 1_000),
    uuid: randomUuid(),
  })
  return { ...target, avatar, network, patch, text: new TextDecoder().decode(encodePayload(body)) }
}

/** @throws ClientError, RecordError where the signature is not good; then nothing was sent */
export async function signPrepared(prepared: Prepared, signer: Signer): Promise<Waiting> {
  const { avatar, network, text } = prepared
  const signed = await signer.sign(text)
  const signature = typeof signed === 'string' ? parseSignature(signed) : signed
  const payload = new TextEncoder().encode(text)
  const record = verifyRecord(nobleEngine, network, { payload, signature }, { recoveryByte: true })
  const hex = Array.from(record.signature, (each) => each.toString(16).padStart(2, '0')).join('')
  return { avatar, network, id: record.id, counter: record.body.counter, payload: text, signature: `0x${hex}` }
}

/** Content as it will be once everything that waits is taken. */
export function contentWith(known: VerifiedAvatar, waiting: readonly Waiting[], target: Target): JsonObject {
  const isTarget = (each: Target): boolean => each.platform === target.platform && each.identity === target.identity
  let content: JsonObject = known.namespaces.find(isTarget)?.content ?? {}
  for (const each of waiting) {
    const change = changeOf(each)
    if (change !== undefined && isTarget(change)) content = withChange(content, each)
  }
  return content
}

/** What a signed record changes; undefined for one that is no patch. */
export function changeOf({ payload }: Waiting): (Target & { readonly patch: JsonObject }) | undefined {
  const { platform, identity, patch } = JSON.parse(payload) as Target & { patch?: JsonObject }
  return patch === undefined ? undefined : { platform, identity, patch }
}

export function withChange(content: JsonObject, record: Waiting): JsonObject {
  const change = changeOf(record)
  return change === undefined ? content : (applyMergePatch(content, change.patch) as JsonObject)
}

function openEnds(known: VerifiedAvatar, waiting: readonly Waiting[]): Citation[] {
  const cited = new Set<string>()
  for (const each of waiting) {
    for (const { id } of citationsOf(each)) cited.add(id)
  }
  const all = new Map<string, Citation>()
  for (const { counter, id } of [...known.tips, ...waiting]) all.set(id, { counter, id })
  return [...all.values()].filter(({ id }) => !cited.has(id))
}

/** `crypto.randomUUID` is there on secure origins only; a node in a home network is none. */
function randomUuid(): string {
  const random = crypto.getRandomValues(new Uint8Array(16))
  // RFC 9562, section 5.4: version 4, variant 10.
  random[6] = ((random[6] ?? 0) & 0x0f) | 0x40
  random[8] = ((random[8] ?? 0) & 0x3f) | 0x80
  const hex = Array.from(random, (each) => each.toString(16).padStart(2, '0')).join('')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
