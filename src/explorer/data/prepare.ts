/** A change as it will be signed. It is made in this page, so that a person sees what they sign. */
import {
  applyMergePatch,
  nobleEngine,
  type Avatar,
  type Citation,
  type JsonObject,
  type Signer,
  type VerifiedAvatar,
} from '../../client/index.ts'
import { patchPayload, signPayload, writtenRecord } from '../../client/sign-patch.ts'
import { splitPatch } from '../../client/split-patch.ts'
import { MAX_PREV } from '../../record/limits.ts'
import { recordId } from '../../record/id.ts'
import { citationsOf, type SignedChange } from './outbox-entry.ts'

export interface Prepared {
  readonly avatar: Avatar
  readonly network: string
  /** The text that is signed, to the byte. */
  readonly text: string
}

export interface Target {
  readonly platform: string
  readonly identity: string
}

/**
 * Turns a patch into the texts that are signed, one after the other: several if it does not fit into one record.
 *
 * @param known the state as it was verified here
 * @param waiting changes that were signed here and that the host has not taken yet: they come first
 * @throws ClientError `invalid_change` or `too_large` if the change breaks a rule of the protocol
 */
export function prepare(
  known: VerifiedAvatar,
  waiting: readonly SignedChange[],
  { platform, identity }: Target,
  patch: JsonObject,
): readonly Prepared[] {
  const { avatar, network } = known
  let open = openEnds(known, waiting)
  return splitPatch({ avatar, network, platform, identity }, patch).map((piece) => {
    const payload = patchPayload({ network, now: Date.now }, avatar, open, { platform, identity, patch: piece })
    const text = new TextDecoder().decode(payload)
    const { counter } = JSON.parse(text) as { counter: number }
    // Each cites the one before it. The client does the same (`client/sign-patch.ts`).
    open = [...open.slice(0, -MAX_PREV), { counter, id: recordId(payload) }]
    return { avatar, network, text }
  })
}

/** @throws ClientError if the signature is not good; then nothing was sent */
export async function signPrepared({ avatar, network, text }: Prepared, signer: Signer): Promise<SignedChange> {
  const record = await signPayload({ network, engine: nobleEngine }, signer, new TextEncoder().encode(text))
  return { avatar, network, ...writtenRecord(record) }
}

/** Content as it will be once everything that waits is taken. */
export function contentWith(known: VerifiedAvatar, waiting: readonly SignedChange[], target: Target): JsonObject {
  const isTarget = (each: Target): boolean => each.platform === target.platform && each.identity === target.identity
  let content: JsonObject = known.namespaces.find(isTarget)?.content ?? {}
  for (const each of waiting) {
    const change = changeOf(each)
    if (change !== undefined && isTarget(change)) content = withChange(content, each)
  }
  return content
}

/** What a signed record changes; undefined for one that is no patch. */
export function changeOf({ payload }: SignedChange): (Target & { readonly patch: JsonObject }) | undefined {
  const { platform, identity, patch } = JSON.parse(payload) as Target & { patch?: JsonObject }
  return patch === undefined ? undefined : { platform, identity, patch }
}

export function withChange(content: JsonObject, record: SignedChange): JsonObject {
  const change = changeOf(record)
  return change === undefined ? content : (applyMergePatch(content, change.patch) as JsonObject)
}

function openEnds(known: VerifiedAvatar, waiting: readonly SignedChange[]): Citation[] {
  const cited = new Set<string>()
  for (const each of waiting) {
    for (const { id } of citationsOf(each)) cited.add(id)
  }
  const all = new Map<string, Citation>()
  for (const { counter, id } of [...known.tips, ...waiting]) all.set(id, { counter, id })
  return [...all.values()].filter(({ id }) => !cited.has(id))
}
