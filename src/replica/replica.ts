/**
 * A verified local copy of chosen avatars (docs/replica.md).
 *
 * Guarantees: what is shown follows from signed records that were verified here; reading needs neither network nor disk; an
 * acknowledged write is on disk, and reaches a node once one takes it, or is told of; several tabs on one store lose nothing.
 * Not guaranteed: that what is shown is the newest (`info` tells how old it may be), nor anything against whoever can write
 * to the store, who could change the program as well.
 *
 * It keeps signed records and a few notes, and folds them in memory by `state/`, as the client does. The node's store is not
 * used: it works its state out on disk because it holds more avatars than fit into memory, with reads that wait for no turn of
 * the event loop, which IndexedDB has not, and with Node's own hashes. A replica holds few avatars, and reads them at once only
 * if they are in memory; then a state on disk is but one more thing that can be wrong.
 */
import { nobleEngine } from '../record/engine.ts'
import { RecordError } from '../record/errors.ts'
import { parseAvatar } from '../record/keys.ts'
import { OWN_PLATFORM } from '../record/members.ts'
import type { Avatar, PatchBody } from '../record/types.ts'
import { pause } from '../client/deadline.ts'
import { ClientError } from '../client/errors.ts'
import { TIMEOUT_MS } from '../client/limits.ts'
import { createNodePool, type NodePool } from '../client/node-pool.ts'
import { fetchFor } from '../client/platform.ts'
import type { Signer } from '../client/signers.ts'
import { readArchiveInto, writeArchiveOf, zipped } from './archive.ts'
import { closable, type Disk } from './disk.ts'
import { ReplicaError } from './errors.ts'
import { LEAD_PATIENCE_MS, MAX_FOLLOWED, MAX_FOLLOWED_BYTES, STREAMS_IN_NODE, STREAMS_IN_PAGE } from './limits.ts'
import { createRestorer } from './restore.ts'
import { Shelf } from './shelf.ts'
import { createSign } from './signing.ts'
import { backOff, createSync } from './sync.ts'
import { checkTable, followed, rewriteAll } from './table.ts'
import type { Tabs } from './tabs.ts'
import type { Replica, ReplicaEvent, ReplicaOptions } from './types.ts'
import { infoOf, stateOf, waitingOf } from './views.ts'
import { watchForWaking } from './wake.ts'
import { createWriting, writeResult } from './writing.ts'

/** Events that are kept until somebody listens: of damage, for one, which is found before the replica is handed out. */
const MAX_UNHEARD = 100
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
  const listeners = new Set<(event: ReplicaEvent) => void>()
  const unheard: ReplicaEvent[] = []
  const shelves = new Map<Avatar, Shelf>()
  const signers = new Map<Avatar, Signer>()
  for (const signer of options.signers ?? []) remember(signer)

  function emit(event: ReplicaEvent): void {
    if (listeners.size === 0 && unheard.length < MAX_UNHEARD) unheard.push(event)
    for (const listener of listeners) {
      try {
        listener(event)
      } catch (error) {
        // A listener's mistake is not the replica's, and not the next listener's.
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }

  const pool =
    nodes.length === 0
      ? NOBODY
      : createNodePool(nodes, { ...fetchFor(options.fetch), timeoutMs, signal: closing.signal })
  const parts = { disk, tabs, engine, network, now, emit }
  const sign = createSign({ engine, network, now }, closing.signal)
  const restorer = createRestorer({ sign, now, signers, emit })
  const writing = createWriting({ sign, network, now, restorer, shelves: () => shelves.values() })
  const sync = createSync({ pool, engine, restorer, tabs, now, emit }, { network, maxStreams, signal: closing.signal })
  let leads = false
  const tookLead = new AbortController()

  let storeId = await checkTable(disk, tabs, network)
  let losses = 0
  disk.onReopened(async (rows) => {
    const id = await checkTable(rows, tabs, network)
    if (id === storeId) return
    losses += 1
    const event = await rewriteAll([...shelves.values()], rows)
    storeId = id
    emit(event)
  })
  for (const avatar of await followed(disk)) shelves.set(avatar, await openShelf(avatar))

  /** What is read of a store that is lost meanwhile is read again: its first rows may have come without the others. */
  async function openShelf(avatar: Avatar): Promise<Shelf> {
    for (;;) {
      const before = losses
      const shelf = await Shelf.open(parts, avatar)
      if (losses === before) return shelf
    }
  }

  function remember(signer: Signer): void {
    if (signer.silent === true) signers.set(signer.avatar, signer)
  }

  function throwIfClosed(): void {
    if (closing.signal.aborted) throw new ReplicaError('closed', 'The replica was closed.')
  }

  /** Reads come often, and mostly in the canonical form: whose point on the curve was checked when it was followed. */
  function find(text: string): Shelf | undefined {
    return shelves.get(text as Avatar) ?? shelves.get(avatarOf(text))
  }

  function shelfOf(text: string): Shelf {
    throwIfClosed()
    const shelf = find(text)
    if (shelf === undefined) {
      throw new ReplicaError('not_followed', `${text.slice(0, 140)} is not followed here: call follow() first.`)
    }
    return shelf
  }

  async function take(avatar: Avatar): Promise<Shelf> {
    const known = shelves.get(avatar)
    if (known !== undefined && !known.gone) return known
    const shelf = await openShelf(avatar)
    const raced = shelves.get(avatar)
    if (raced !== undefined && !raced.gone) return raced
    shelves.set(avatar, shelf)
    if (leads) sync.add(shelf)
    return shelf
  }

  async function drop(shelf: Shelf): Promise<void> {
    if (shelves.get(shelf.avatar) === shelf) shelves.delete(shelf.avatar)
    await sync.remove(shelf)
    emit({ type: 'unfollowed', avatar: shelf.avatar })
  }

  async function follow(text: string): Promise<void> {
    throwIfClosed()
    const avatar = avatarOf(text)
    if (shelves.get(avatar)?.gone === false) return
    const bytes = [...shelves.values()].reduce((sum, { confirmed }) => sum + confirmed.bytes, 0)
    if (shelves.size >= MAX_FOLLOWED || bytes > MAX_FOLLOWED_BYTES) {
      throw new ReplicaError(
        'too_many',
        'A replica holds no more than this: let another avatar go first, or run a node.',
      )
    }
    await take(avatar)
    tabs.tell({ kind: 'avatars' })
    emit({ type: 'followed', avatar })
  }

  /** Takes in what other tabs have followed, let go and written. */
  async function catchUp(): Promise<void> {
    for (const shelf of [...shelves.values()]) {
      await shelf.catchUp()
      if (shelf.gone) await drop(shelf)
    }
    for (const avatar of await followed(disk)) {
      if (shelves.has(avatar)) continue
      await take(avatar)
      emit({ type: 'followed', avatar })
      tabs.tell({ kind: 'hello' })
    }
  }

  const background = new Set<Promise<void>>()

  /** What fails in the background is told, and tried again the next time. */
  function inBackground(work: () => Promise<void>, avatar?: Avatar): void {
    if (closing.signal.aborted) return
    const run = work()
      .catch((error: unknown) => {
        if (!closing.signal.aborted) emit({ type: 'error', avatar, error })
      })
      .finally(() => background.delete(run))
    background.add(run)
  }

  tabs.listen((message) => {
    if (message.kind === 'avatars') return inBackground(catchUp)
    if (message.kind === 'hello') return leads ? sync.tellAll() : undefined
    if (message.kind === 'sync') return leads ? sync.wake() : undefined
    const shelf = shelves.get(message.avatar)
    if (shelf === undefined) return undefined
    if (message.kind === 'changed') {
      return inBackground(async () => {
        await shelf.catchUp()
        if (shelf.gone) return await catchUp()
        await restorer.adopt(shelf)
        if (leads) sync.send(shelf)
      }, shelf.avatar)
    }
    if (leads) return undefined
    const wasLive = shelf.status.live
    shelf.status = message.status
    if (wasLive === message.status.live) return undefined
    const status = message.status.live ? 'live' : 'lost'
    return emit({ type: 'connection', avatar: shelf.avatar, status, node: undefined, message: undefined })
  })

  async function lead(): Promise<void> {
    for (let failures = 0; ; failures += 1) {
      try {
        await catchUp()
        break
      } catch (error) {
        if (closing.signal.aborted) return
        emit({ type: 'error', avatar: undefined, error })
        await pause(backOff(failures), [closing.signal])
      }
    }
    if (closing.signal.aborted) return
    leads = true
    tookLead.abort()
    emit({ type: 'leader', leads })
    for (const shelf of shelves.values()) {
      sync.add(shelf)
      inBackground(() => restorer.adopt(shelf), shelf.avatar)
    }
    await new Promise((resolve) => closing.signal.addEventListener('abort', resolve))
    await sync.ended()
    leads = false
  }

  const leading =
    nodes.length === 0
      ? Promise.resolve()
      : tabs.lead(lead, closing.signal).catch((error: unknown) => emit({ type: 'error', avatar: undefined, error }))
  const stopWatching = watchForWaking({
    woke: () => {
      inBackground(catchUp)
      if (leads) sync.wake()
    },
    seen: () => inBackground(catchUp),
  })
  async function stop(): Promise<void> {
    stopWatching()
    closing.abort()
    await Promise.allSettled([leading, ...background])
    // What is being written is written to its end.
    await Promise.allSettled([...shelves.values()].map((shelf) => shelf.catchUp()))
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
      return leads
    },
    avatars: () => [...shelves.keys()].sort(),
    follow,
    async unfollow(text, { discard = false } = {}) {
      const shelf = shelfOf(text)
      await shelf.remove(discard)
      await drop(shelf)
    },
    get(text, platform = OWN_PLATFORM, identity) {
      throwIfClosed()
      const shelf = find(text)
      if (shelf === undefined) return undefined
      return shelf.shown.content({ platform, identity: platform === OWN_PLATFORM ? shelf.avatar : (identity ?? '') })
    },
    state: (text) => stateOf(shelfOf(text)),
    info: (text) => infoOf(shelfOf(text)),
    async put(request) {
      const shelf = shelfOf(request.signer.avatar)
      remember(request.signer)
      const write = await writing.put(shelf, request)
      sync.send(shelf)
      return write
    },
    async change(request) {
      const shelf = shelfOf(request.signer.avatar)
      remember(request.signer)
      const write = await writing.change(shelf, request)
      sync.send(shelf)
      return write
    },
    waiting: (text) => (text === undefined ? [...shelves.values()] : [shelfOf(text)]).flatMap(waitingOf),
    async retry(signer) {
      const shelf = shelfOf(signer.avatar)
      remember(signer)
      const stuck = shelf.entries.filter(({ note }) => note.state !== 'waiting')
      const records = await restorer.signAnew(shelf, stuck, signer)
      sync.send(shelf)
      return records.map((record) => writeResult(record.body as PatchBody, [record]))
    },
    async discard(text, id) {
      const shelf = shelfOf(text)
      await shelf.exclusive(async () => {
        const entry = shelf.entries.find(({ record, note }) => record.id === id && note.state !== 'waiting')
        if (entry === undefined) {
          throw new ReplicaError('usage', `${id} is no write in conflict, or rejected: see waiting().`)
        }
        await shelf.replace([entry], [])
      })
    },
    discardDamaged: async (text) => await shelfOf(text).discardDamaged(),
    async sync({ signal } = {}) {
      throwIfClosed()
      if (nodes.length === 0) throw new ReplicaError('usage', 'This replica has no nodes: name some when it is opened.')
      // Who has just been opened may be about to lead.
      if (!leads) await pause(LEAD_PATIENCE_MS, [tookLead.signal, closing.signal])
      if (!leads) return tabs.tell({ kind: 'sync' })
      for (const shelf of [...shelves.values()]) await sync.once(shelf, signal)
    },
    on(listener) {
      listeners.add(listener)
      for (const event of unheard.splice(0)) emit(event)
      return () => void listeners.delete(listener)
    },
    export({ avatars, gzip = false } = {}) {
      const chosen = avatars === undefined ? [...shelves.values()] : [...new Set(avatars.map(shelfOf))]
      const header = { network, createdAt: Math.floor(now() / 1000), isNamed: avatars !== undefined }
      const archive = writeArchiveOf(chosen, header)
      return gzip ? zipped(archive) : archive
    },
    async import(chunks, importing = {}) {
      throwIfClosed()
      const reach = async (avatar: Avatar): Promise<Shelf | undefined> => {
        if (importing.follow === true) await follow(avatar)
        return shelves.get(avatar)
      }
      return await readArchiveInto({ engine, network, shelfOf: reach }, chunks, importing)
    },
    async close() {
      if (closing.signal.aborted) return
      await stop()
      tabs.close()
      await disk.close()
    },
  }
}

/** For a replica without nodes. */
const NOBODY: NodePool = {
  all: [],
  order: () => [],
  isDown: () => false,
  isOutdone: () => false,
  stood: () => {},
  first: () => Promise.resolve(undefined),
}

/** @throws ClientError `usage` where a text is no avatar */
function avatarOf(text: string): Avatar {
  try {
    return parseAvatar(text)
  } catch (error) {
    if (error instanceof RecordError) {
      throw new ClientError('usage', error.message, { nodeCode: error.code, cause: error })
    }
    throw error
  }
}
