/**
 * A verified local copy of chosen avatars (docs/replica.md).
 *
 * Guarantees: all that is shown follows from signed records that were verified here. Reading needs neither network nor disk. An
 * acknowledged write is on disk, and reaches a node once one takes it, or the app is told why not. Several tabs on one store lose
 * nothing. Not guaranteed: that the newest data is shown (`info` tells how old it may be), nor anything against a person or
 * program that can write to the store, and could change the app as well.
 *
 * The replica stores signed records and a few notes. It works out the state in memory, by `state/`, as the client does. The
 * node's store is not used here: it holds more avatars than fit into memory, so it keeps the state on disk, and reads it without
 * waiting for the event loop, which IndexedDB cannot do, and with Node's own hashes.
 */
import { gzip as compressed } from '../archive/web.ts'
import { nobleEngine } from '../record/engine.ts'
import { OWN_PLATFORM } from '../record/members.ts'
import type { Avatar, PatchBody } from '../record/types.ts'
import { TIMEOUT_MS } from '../client/limits.ts'
import { createNodePool } from '../client/node-pool.ts'
import { fetchFor } from '../client/platform.ts'
import type { Signer } from '../client/signers.ts'
import { readArchiveInto, writeArchiveOf } from './archive.ts'
import type { AvatarReplica } from './avatar-replica.ts'
import { closable, type Disk } from './disk.ts'
import { ReplicaError } from './errors.ts'
import { createEvents } from './events.ts'
import { openFollowedAvatars } from './followed-avatars.ts'
import { createLeader } from './leader.ts'
import { linkedContent, linkedState } from './linked.ts'
import { STREAMS_IN_NODE, STREAMS_IN_PAGE } from './limits.ts'
import { createRestorer } from './restore.ts'
import { createSign } from './signing.ts'
import { infoOf, stateOf, waitingOf } from './summaries.ts'
import { createSync } from './sync.ts'
import type { Tabs } from './tabs.ts'
import type { Replica, ReplicaOptions } from './types.ts'
import { createWriting, writeResult } from './writing.ts'

const NETWORK = /^[a-z0-9-]{1,32}$/

export interface ReplicaComponents {
  readonly disk: Disk
  readonly tabs: Tabs
}

/** @throws ReplicaError `usage`, `wrong_network`, `newer`, `storage`; ClientError `usage`. The disk is closed then. */
export async function createReplica(
  { disk: given, tabs }: ReplicaComponents,
  options: ReplicaOptions,
): Promise<Replica> {
  const disk = closable(given)
  try {
    return await start(disk, tabs, options)
  } catch (error) {
    tabs.close()
    await disk.close()
    throw error
  }
}

async function start(disk: Disk, tabs: Tabs, options: ReplicaOptions): Promise<Replica> {
  const { network = 'main', engine = nobleEngine, now = Date.now, nodes = [], timeoutMs = TIMEOUT_MS } = options
  if (!NETWORK.test(network)) throw new ReplicaError('usage', 'network is 1 to 32 of the characters a-z, 0-9 and -.')
  const maxStreams = options.maxStreams ?? (typeof document === 'undefined' ? STREAMS_IN_NODE : STREAMS_IN_PAGE)
  const closing = new AbortController()
  const { signal } = closing
  const { emit, on } = createEvents()
  const signers = new Map<Avatar, Signer>()
  for (const signer of options.signers ?? []) remember(signer)

  const pool = createNodePool(nodes, { ...fetchFor(options.fetch), timeoutMs, signal })
  const sign = createSign({ engine, network, now }, signal)
  const restorer = createRestorer({ sign, now, signers, emit })
  const sync = createSync({ pool, engine, restorer, tabs, now, emit, network, maxStreams, signal })
  const followed = await openFollowedAvatars(
    { disk, tabs, engine, network, now, emit },
    (replica) => {
      if (leader.leads) sync.add(replica)
    },
    (replica) => sync.remove(replica),
  )
  const writing = createWriting({ sign, network, now, restorer, replicas: followed.all })
  const leader = createLeader({ followed, sync, restorer, tabs, emit, hasNodes: nodes.length > 0 }, signal)

  function remember(signer: Signer): void {
    if (signer.silent === true) signers.set(signer.avatar, signer)
  }

  function throwIfClosed(): void {
    if (signal.aborted) throw new ReplicaError('closed', 'The replica was closed.')
  }

  function replicaOf(text: string): AvatarReplica {
    throwIfClosed()
    return followed.get(text)
  }

  async function follow(text: string): Promise<void> {
    throwIfClosed()
    await followed.follow(text)
  }

  /** Writes to the replica of the signer's avatar, and sends what is written. */
  async function writeAs<T>(signer: Signer, write: (replica: AvatarReplica) => Promise<T>): Promise<T> {
    const replica = replicaOf(signer.avatar)
    remember(signer)
    const written = await write(replica)
    sync.send(replica)
    return written
  }

  async function stop(): Promise<void> {
    closing.abort()
    await leader.ended()
  }

  try {
    for (const avatar of options.avatars ?? []) await follow(avatar)
  } catch (error) {
    await stop()
    throw error
  }
  tabs.tell({ kind: 'hello' })

  return {
    network,
    nodes: pool.all.map(({ url }) => url),
    get leads() {
      return leader.leads
    },
    avatars: () =>
      followed
        .all()
        .map(({ avatar }) => avatar)
        .sort(),
    follow,
    async unfollow(text, { discard = false } = {}) {
      const replica = replicaOf(text)
      await replica.remove(discard)
      await followed.drop(replica)
    },
    get(text, platform = OWN_PLATFORM, identity, { linked = true } = {}) {
      throwIfClosed()
      const replica = followed.find(text)
      if (replica === undefined) return undefined
      const isOwn = platform === OWN_PLATFORM
      if (isOwn && linked) return linkedContent(replica, followed.held)
      return replica.shown.content({ platform, identity: isOwn ? replica.avatar : (identity ?? '') })
    },
    state(text, { linked = true } = {}) {
      const replica = replicaOf(text)
      return stateOf(replica, linkedState(replica, followed.held), linked)
    },
    info: (text) => infoOf(replicaOf(text)),
    put: (request) => writeAs(request.signer, (replica) => writing.put(replica, request)),
    change: (request) => writeAs(request.signer, (replica) => writing.change(replica, request)),
    waiting: (text) => (text === undefined ? followed.all() : [replicaOf(text)]).flatMap(waitingOf),
    async retry(signer) {
      const records = await writeAs(signer, (replica) => {
        const stuck = replica.entries.filter(({ note }) => note.state !== 'waiting')
        return restorer.signAgain(replica, stuck, signer)
      })
      return records.map((record) => writeResult(record.body as PatchBody, [record]))
    },
    async discard(text, id) {
      const replica = replicaOf(text)
      await replica.exclusive(async () => {
        const entry = replica.entries.find(({ record, note }) => record.id === id && note.state !== 'waiting')
        if (entry === undefined) {
          throw new ReplicaError('usage', `No write ${id} is in conflict or rejected. See waiting().`)
        }
        await replica.replace([entry], [])
      })
    },
    discardDamaged: async (text) => await replicaOf(text).discardDamaged(),
    async sync({ signal: own } = {}) {
      throwIfClosed()
      await leader.syncNow(own)
    },
    on,
    export({ avatars, gzip = false } = {}) {
      const chosen = avatars === undefined ? followed.all() : [...new Set(avatars.map(replicaOf))]
      const header = { network, createdAt: Math.floor(now() / 1000), isNamed: avatars !== undefined }
      const archive = writeArchiveOf(chosen, header)
      return gzip ? compressed(archive) : archive
    },
    async import(chunks, importing = {}) {
      throwIfClosed()
      const replicaFor = async (avatar: Avatar): Promise<AvatarReplica | undefined> => {
        if (importing.follow === true) await follow(avatar)
        return followed.find(avatar)
      }
      return await readArchiveInto({ engine, network, replicaOf: replicaFor }, chunks, importing)
    },
    async close() {
      if (signal.aborted) return
      await stop()
      tabs.close()
      await disk.close()
    },
  }
}
