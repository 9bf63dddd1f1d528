import { OWN_PLATFORM } from '../record/members.ts'
import type { Avatar, JsonObject, VerifiedRecord } from '../record/types.ts'
import type { ChangeRequest, PutRequest } from './api.ts'
import { orAborted, throwIfAborted } from './deadline.ts'
import { ClientError } from './errors.ts'
import { copyObject, mergePatchOf } from './json.ts'
import { MAX_WRITE_TRIES } from './limits.ts'
import type { LocalAvatar } from './local-avatar.ts'
import type { NodeApi } from './node-api.ts'
import { signPieces, writtenRecord, type Piece } from './sign-patch.ts'
import type { Signer } from './signers.ts'
import { splitPatch } from './split-patch.ts'
import { refuseHidden } from './linked-writes.ts'
import { isSeenByTooFew, tooFewText } from './standing.ts'
import { submitTo, submitToFirst, type Submission } from './submit.ts'
import type { Namespace, PutResult, WriteOptions } from './types.ts'
import type { ClientParts } from './verified-reader.ts'
import { createWriteQueue } from './write-queue.ts'

/** How often a person is asked to sign the same thing. */
const MAX_ASKED_TRIES = 2

/** Pieces of one request, in order. */
interface Planned {
  readonly platform: string
  readonly identity: string
  readonly pieces: readonly Piece[]
}

/** Writes of one avatar go one after the other, so that each cites the one before it. */
export function createWriter(components: ClientParts, network: string) {
  const { pool, reader } = components
  const inOrder = createWriteQueue()
  const context = { network, engine: components.engine, now: components.now }

  /** @param plan called with the verified state, again each time a snapshot superseded what was made of it */
  async function write(
    signer: Signer,
    plan: (local: LocalAvatar) => Promise<Planned[]>,
    options: WriteOptions,
  ): Promise<PutResult[]> {
    const { signal } = options
    const signals = [components.signal, signal]
    const tries = signer.silent === true ? MAX_WRITE_TRIES : MAX_ASKED_TRIES
    for (let attempt = 0; attempt < tries; attempt++) {
      const call = signal === undefined ? {} : { signal }
      const { local, verified } = await reader.read(signer.avatar, { ...call, everyone: true })
      if (isSeenByTooFew(verified)) throw new ClientError('unreachable', tooFewText(verified))
      const planned = await orAborted(plan(local), signals)
      refuseHidden(signer.avatar, local.content(namespaceOf(signer.avatar, {})) ?? {}, planned)
      const pieces = planned.flatMap((each) => each.pieces)
      const records = await signPieces({ ...context, signals }, signer, local.tips, pieces)
      // From here on it may have been sent.
      throwIfAborted(signals)
      if (records.length === 0) return planned.map((each) => resultOf(signer.avatar, each, [], 'unchanged', []))
      /** Not by the node's word, but by a snapshot that it holds. */
      const isSuperseded = async (api: NodeApi, { body }: VerifiedRecord): Promise<boolean> => {
        await reader.readOne(api, local, call)
        return body.counter < (local.base?.counter ?? 0)
      }
      const submission = await submitToFirst({ pool, isSuperseded }, local, records, signal)
      if (submission.status === 'superseded') continue
      return await conclude(signer.avatar, local, planned, records, submission, options)
    }
    throw new ClientError(
      'superseded',
      'Snapshots keep superseding the change. Nothing of it counts: read the avatar and try again.',
    )
  }

  async function conclude(
    avatar: Avatar,
    local: LocalAvatar,
    planned: readonly Planned[],
    records: readonly VerifiedRecord[],
    { api, status }: Exclude<Submission, { status: 'superseded' }>,
    { to = 'one', signal }: WriteOptions,
  ): Promise<PutResult[]> {
    for (const record of records) local.add(record)
    await reader.keep(local)
    const nodes = [api.url]
    if (to === 'all') {
      const others = pool.all.filter((each) => each !== api)
      const taken = await Promise.all(others.map((each) => submitTo(each, local, records, signal)))
      nodes.push(...others.filter((_, at) => taken[at]).map(({ url }) => url))
    }
    let at = 0
    return planned.map((each) => {
      const mine = records.slice(at, at + each.pieces.length)
      at += each.pieces.length
      return resultOf(avatar, each, mine, mine.length === 0 ? 'unchanged' : status, nodes)
    })
  }

  async function change(
    { signer, change: make, ...name }: ChangeRequest,
    options: WriteOptions = {},
  ): Promise<PutResult> {
    const target = { avatar: signer.avatar, network, ...namespaceOf(signer.avatar, name) }
    const plan = async (local: LocalAvatar): Promise<Planned[]> => {
      const before = local.content(target) ?? {}
      const after = copyObject(await make(structuredClone(before)), 'dropped')
      const patch = mergePatchOf(before, after)
      return [plannedOf(target, patch === undefined ? [] : splitPatch(target, patch))]
    }
    const [result] = await inOrder(signer.avatar, () => write(signer, plan, options), [
      components.signal,
      options.signal,
    ])
    return result as PutResult
  }

  async function batch(requests: readonly PutRequest[], options: WriteOptions = {}): Promise<PutResult[]> {
    // All is looked at before anything is signed.
    const planned = requests.map(({ signer, patch, ...name }) => {
      const target = { avatar: signer.avatar, network, ...namespaceOf(signer.avatar, name) }
      return { signer, planned: plannedOf(target, splitPatch(target, copyObject(patch, 'refused'))) }
    })
    const results = new Map<Planned, PutResult>()
    const signers = new Map(planned.map(({ signer }) => [signer.avatar, signer]))
    for (const [avatar, signer] of signers) {
      const mine = planned.filter((each) => each.signer.avatar === avatar).map((each) => each.planned)
      try {
        const written = await inOrder(avatar, () => write(signer, () => Promise.resolve(mine), options), [
          components.signal,
          options.signal,
        ])
        for (const [at, each] of mine.entries()) results.set(each, written[at] as PutResult)
      } catch (error) {
        if (error instanceof ClientError) error.written = [...results.values()]
        throw error
      }
    }
    return planned.map((each) => results.get(each.planned) as PutResult)
  }

  return {
    put: async (request: PutRequest, options?: WriteOptions) => (await batch([request], options))[0] as PutResult,
    change,
    batch,
  }
}

/** The namespace that a write names; the avatar's own where it names none. */
export function namespaceOf(avatar: Avatar, { platform = OWN_PLATFORM, identity }: Namespace) {
  if (platform === OWN_PLATFORM) return { platform, identity: avatar }
  if (identity === undefined) throw new ClientError('usage', `The platform ${platform} needs an identity on it.`)
  return { platform, identity }
}

function plannedOf(
  { platform, identity }: { readonly platform: string; readonly identity: string },
  patches: readonly JsonObject[],
): Planned {
  return { platform, identity, pieces: patches.map((patch) => ({ platform, identity, patch })) }
}

function resultOf(
  avatar: Avatar,
  { platform, identity }: Planned,
  records: readonly VerifiedRecord[],
  status: PutResult['status'],
  nodes: readonly string[],
): PutResult {
  return { avatar, platform, identity, status, records: records.map(writtenRecord), nodes }
}
