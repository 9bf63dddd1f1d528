/**
 * Writes of the command line. What a node says is never signed over: the client reads the signed records of the avatar,
 * verifies them on this machine, and builds on the tips that follow from them.
 */
import { randomUUID } from 'node:crypto'

import { createClient, ClientError, privateKeySigner } from '../../client/index.ts'
import type { Client, Progress, VerifiedAvatar } from '../../client/index.ts'
import type { NodeApi } from '../../client/node-api.ts'
import { readStatus } from '../../client/node-info.ts'
import { splitPatch } from '../../client/split-patch.ts'
import type { Target } from '../../client/split-patch.ts'
import type { Clock } from '../../platform/environment.ts'
import { buildPatch } from '../../record/build.ts'
import { recordId } from '../../record/id.ts'
import { MAX_PREV } from '../../record/limits.ts'
import { OWN_PLATFORM } from '../../record/members.ts'
import { compareCitations } from '../../record/order.ts'
import { encodePayload } from '../../record/payload.ts'
import type { Avatar, JsonObject, RecordId } from '../../record/types.ts'
import { linksOf } from '../../state/links.ts'
import { toCliError } from './client-error.ts'
import { CliError } from './errors.ts'
import { loadEngine } from './lazy-parts.ts'
import { printable } from './text.ts'

/** Where to write, and the current time. */
export interface PutPlace {
  readonly api: NodeApi
  readonly clock: Clock
  /** Called with a message if the work takes long. */
  readonly note?: (text: string) => void
}

export interface Patch {
  readonly platform: string
  readonly identity: string
  readonly patch: JsonObject
}

/** Signatures that are verified without a word. */
const QUIET_RECORDS = 5_000
/** What a node does that makes everything else that it says doubtful. */
const LIES: ReadonlySet<string> = new Set(['invalid_record', 'foreign_record', 'wrong_id', 'contradictory'])

/**
 * Signs a patch on the verified tips of its avatar and sends it to a node; again, if a snapshot superseded it meanwhile.
 *
 * @returns the records, in order (several if the patch does not fit into one), and the id and counter of the last one. `pending`:
 *   on disk, but not visible before the node has all records that it builds on
 * @throws CliError, ClientError where the node cannot be used or the patch breaks a rule of the protocol
 */
export async function putPatch(place: PutPlace, { secretKey, ...patch }: Patch & { readonly secretKey: Uint8Array }) {
  const signer = privateKeySigner(secretKey, { engine: await loadEngine() })
  const { client, known } = await verified(place, signer.avatar)
  for (const text of hiddenTexts(known, patch)) place.note?.(text)
  const { avatar, status, records } = await client.put({ signer, ...patch })
  const places = records.map(({ id, counter }) => ({ counter, id }))
  const last = places.at(-1)
  if (last === undefined || status === 'unchanged') throw new CliError('failed', 'There was nothing to write.')
  return { status, avatar, records: places, ...last }
}

/** Tells which members of a patch will not show, because another avatar writes these keys. */
function hiddenTexts({ avatar, namespaces }: VerifiedAvatar, { platform, patch }: Patch): string[] {
  if (platform !== OWN_PLATFORM) return []
  return linksOf(avatar, namespaces)
    .filter(({ key }) => Object.hasOwn(patch, key))
    .map(
      ({ key, avatar: linked }) =>
        `Your value of ${printable(key)} is hidden: ${linked} writes this key. To write it yourself: avatar-kv unlink.`,
    )
}

/**
 * Payloads for a patch on the verified tips of an avatar, to be signed elsewhere and given in, in this order.
 *
 * @throws CliError as `putPatch`
 */
export async function unsignedPatch(
  place: PutPlace,
  avatar: Avatar,
  patch: Patch,
): Promise<{ id: RecordId; payload: string }[]> {
  const { known } = await verified(place, avatar)
  const { platform, identity } = patch
  const target: Target = { avatar, network: known.network, platform, identity }
  const createdAt = Math.floor(place.clock.now() / 1000)
  let open = [...known.tips]
  return splitPatch(target, patch.patch).map((piece) => {
    const body = buildPatch({ ...target, patch: piece, prev: open, createdAt, uuid: randomUUID() })
    const payload = encodePayload(body)
    const id = recordId(payload)
    // Tips beyond those that fit are cited by the payloads that follow.
    open = [...open.slice(0, -MAX_PREV), { counter: body.counter, id }].sort(compareCitations)
    return { id, payload: new TextDecoder().decode(payload) }
  })
}

/** @throws CliError where the node cannot be read; `unverified` where its records are not what it says */
async function verified(
  { api, clock, note }: PutPlace,
  avatar: Avatar,
): Promise<{ client: Client; known: VerifiedAvatar }> {
  const { network } = await readStatus(api.transport)
  const client = createClient({ nodes: [api.url], network, engine: await loadEngine(), now: () => clock.now() })
  let isNoted = false
  const onProgress = ({ total }: Progress): void => {
    if (isNoted || total < QUIET_RECORDS) return
    isNoted = true
    note?.(`Verifying ${total} records of the avatar first …`)
  }
  const known = await client.getVerified(avatar, { onProgress, linked: false }).catch((error: unknown) => {
    throw error instanceof ClientError ? toCliError(error, 'Nothing was signed. ') : error
  })
  const lie = known.problems.find(({ code }) => LIES.has(code))
  if (lie !== undefined) {
    throw new CliError('unverified', `Nothing was signed. ${printable(lie.message)} Ask another node with --node URL.`)
  }
  const [failed] = known.problems
  if (known.nodes.every(({ standing }) => standing === 'failed')) {
    throw new CliError('unreachable', `Nothing was signed. ${printable(failed?.message ?? 'No node answered.')}`)
  }
  return { client, known }
}
