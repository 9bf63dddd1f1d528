/**
 * The verified state of an avatar over several nodes, none of which is trusted: what it is, follows from signed records
 * alone; what nodes say is held against it.
 */
import type { SignatureEngine } from '../record/engine.ts'
import type { Avatar, VerifiedRecord } from '../record/types.ts'
import { joinSignals, pause, throwIfAborted } from './deadline.ts'
import { ClientError } from './errors.ts'
import { MAX_ROUNDS } from './limits.ts'
import { LocalAvatar } from './local-avatar.ts'
import type { NodeApi } from './node-api.ts'
import type { NodePool } from './node-pool.ts'
import { memoryRecordCache } from './record-cache.ts'
import { problemOf, readNode, type NodeRead } from './read-node.ts'
import { reportOn, type NodeView } from './standing.ts'
import type { CacheUpdate, CachedAvatar, Problem, RecordCache, VerifiedAvatar, VerifyOptions } from './types.ts'
import { createSlices, decodeKept, nextTask, takeIn } from './verify-records.ts'

/** Once a node has answered, others get this much longer: one that is dead must not hold up those that live. */
const PATIENCE_MS = 2_000
/** A node that takes longer to send its records is not waited for before the next is read. */
const READ_PATIENCE_MS = 8_000

export interface VerifiedRead {
  readonly local: LocalAvatar
  readonly verified: VerifiedAvatar
}

export type VerifiedReader = ReturnType<typeof createVerifiedReader>

/** What the calls of a client share. */
export interface ClientParts {
  readonly pool: NodePool
  readonly reader: VerifiedReader
  readonly engine: SignatureEngine
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number
  /** The client's own. */
  readonly signal: AbortSignal | undefined
}

export interface ReaderComponents {
  readonly pool: NodePool
  readonly engine: SignatureEngine
  /** Beside memory. */
  readonly cache: RecordCache | undefined
  /** Whether what the cache cannot keep is lost, so that its failure is an error. Default false. */
  readonly needsCache?: boolean
  readonly network: string
  readonly signal: AbortSignal | undefined
}

/** What is kept in memory, as it was when it was saved: all verified already. */
const LOCALS = new WeakMap<CachedAvatar, LocalAvatar>()

export function createVerifiedReader(components: ReaderComponents) {
  const { pool, engine, cache, network, signal: own, needsCache = false } = components
  /** What a cache hands back is verified again, so that memory stands before each. */
  const memories = new WeakMap<object, RecordCache>()
  const memoryOf = ({ cache: given = cache }: VerifyOptions): RecordCache => {
    const key = given ?? memories
    const memory = memories.get(key) ?? memoryRecordCache()
    memories.set(key, memory)
    return memory
  }

  /** What was read in this process, if it is still in memory. */
  async function known(avatar: Avatar, options: VerifyOptions = {}): Promise<LocalAvatar | undefined> {
    const remembered = await memoryOf(options).load(avatar)
    return remembered && LOCALS.get(remembered)
  }

  /** What is stored, without asking a node. */
  async function load(avatar: Avatar, options: VerifyOptions = {}): Promise<LocalAvatar> {
    const remembered = await known(avatar, options)
    if (remembered !== undefined) return remembered
    let kept: CachedAvatar | undefined
    try {
      kept = await (options.cache ?? cache)?.load(avatar)
    } catch {
      // The nodes have it all.
    }
    const local = new LocalAvatar(avatar, network)
    if (kept === undefined) return local
    const slices = createSlices()
    const decoded: ReturnType<typeof decodeKept>[] = []
    for (const record of kept.records) {
      decoded.push(decodeKept(engine, network, record))
      if (slices.isOver()) await slices.pause([own, options.signal])
    }
    const usable = decoded.filter((record) => record?.body.avatar === avatar).filter((record) => record !== undefined)
    const { faults } = await takeIn(local, engine, usable, async () => {
      throwIfAborted([own, options.signal])
      await nextTask()
    })
    local.forgetUnsaved()
    // What is kept has been lost in part: the nodes are read from the beginning.
    if (faults.length === 0 && usable.length === decoded.length) {
      for (const [node, cursor] of kept.cursors) local.cursors.set(node, cursor)
    }
    return local
  }

  /** Saves what is new. */
  async function keep(local: LocalAvatar, options: VerifyOptions = {}): Promise<void> {
    const saved = local.save(async (added) => {
      const { records, bytes, base } = local
      const update: CacheUpdate = { network, records, cursors: [...local.cursors], bytes, base, added }
      LOCALS.set(update, local)
      await memoryOf(options).save(local.avatar, update)
      await (options.cache ?? cache)?.save(local.avatar, update)
    })
    // What was not kept is tried again the next time; what was read, or stored at a node, is so all the same.
    await (needsCache ? saved : saved.catch(() => {}))
  }

  /** Asks all nodes at once for what they claim to show; slow nodes count as failed. */
  async function askForClaims(avatar: Avatar, views: readonly NodeView[], signal?: AbortSignal): Promise<void> {
    const enough = joinSignals([signal])
    let done = 0
    const asked = views.map(async (view) => {
      try {
        const claim = await view.api.claim(avatar, enough.signal)
        if (claim === undefined) view.outcome = 'unknown'
        else if (claim.network === network) view.claim = { digest: claim.digest, head: claim.head }
        // Who does not know the avatar says nothing for those that may.
        if (claim !== undefined && ++done === 1) void pause(PATIENCE_MS, [enough.signal]).then(() => enough.abort())
      } catch (error) {
        throwIfAborted([own, signal])
        const problem = enough.signal.aborted ? tooSlow(view.api) : problemOf(view.api, error)
        // It may still hand out records: one that has no receipts, or is too busy to sign, does.
        if (problem.code === 'unreachable') view.outcome = 'failed'
        view.problems.push(problem)
      }
    })
    try {
      await Promise.all(asked)
    } finally {
      enough.close()
      enough.abort()
    }
  }

  async function readInto(
    view: NodeView,
    local: LocalAvatar,
    options: VerifyOptions,
    { fromStart, onSent }: { readonly fromStart: boolean; readonly onSent?: () => void },
  ): Promise<NodeRead> {
    const { signal, onProgress } = options
    const read = await readNode(view.api, local, {
      engine,
      signals: [own, signal],
      signal,
      onProgress,
      onSent,
      fromStart,
    })
    view.outcome = read.outcome
    if (read.fromStart) view.ids = read.ids
    else if (view.ids !== null) view.ids = new Set([...view.ids, ...read.ids])
    if (read.digest !== null) view.claim = { digest: read.digest, head: null }
    view.problems.push(...read.problems.filter(({ code }) => !view.problems.some((each) => each.code === code)))
    return read
  }

  /** Reads nodes one after the other until all that was not read shows the same; slow nodes in parallel. */
  async function readThose(
    todo: readonly NodeView[],
    local: LocalAvatar,
    options: VerifyOptions,
    isFromStart: (view: NodeView) => boolean,
  ): Promise<VerifiedRecord[]> {
    const added: VerifiedRecord[] = []
    const enough = joinSignals([options.signal])
    const reading: Promise<void>[] = []
    try {
      for (const view of todo) {
        if (view.claim?.digest === local.digest) continue
        const read = new Promise<void>((resolve, reject) => {
          const within = { ...options, signal: enough.signal }
          const mine = readInto(view, local, within, { fromStart: isFromStart(view), onSent: resolve }).then(
            (result) => void added.push(...result.added),
            (error: unknown) => {
              throwIfAborted([own, options.signal])
              if (!(error instanceof ClientError) || error.code !== 'aborted') throw error
              view.outcome = 'failed'
              view.problems.push(tooSlow(view.api))
            },
          )
          reading.push(mine)
          mine.then(resolve, reject)
        })
        const patience = new AbortController()
        await Promise.race([read, pause(READ_PATIENCE_MS, [patience.signal])])
        patience.abort()
        // What was sent in time is verified before the next is asked.
        if (!(await isPending(read))) await reading.at(-1)
      }
      // Once one node shows all that is known, slow nodes need not be waited for.
      if (todo.some((view) => isOpen(view) && view.claim?.digest === local.digest)) enough.abort()
      await Promise.all(reading)
      return added
    } finally {
      enough.close()
      enough.abort()
      await Promise.allSettled(reading)
    }
  }

  /**
   * Over all nodes.
   *
   * @param options.everyone whether nodes that did not answer a moment ago are asked all the same, if nothing of the avatar is known
   * @throws ClientError `unreachable` if no node answered and nothing is stored, `aborted`
   */
  async function read(
    avatar: Avatar,
    options: VerifyOptions & { readonly everyone?: boolean } = {},
  ): Promise<VerifiedRead> {
    throwIfAborted([own, options.signal])
    const local = await load(avatar, options)
    const views = pool.order().map((api): NodeView => ({ api, outcome: 'asked', claim: null, ids: null, problems: [] }))
    const isThorough = options.everyone === true && local.size === 0
    const up = isThorough ? views : views.filter(({ api }) => !pool.isDown(api))
    for (const view of views) if (!up.includes(view)) view.outcome = 'failed'
    if (up.length > 1) await askForClaims(avatar, up, options.signal)

    const added: VerifiedRecord[] = []
    const isEqual = ({ claim }: NodeView): boolean => claim?.digest === local.digest
    for (let round = 0; round < MAX_ROUNDS; round++) {
      // The greatest claim first: if it is true, nobody else needs to be read.
      const todo = up.filter(isOpen).toSorted((a, b) => (b.claim?.head ?? Infinity) - (a.claim?.head ?? Infinity))
      if (todo.every(isEqual)) break
      // Where it still differs, and nobody else shows this, all that it hands out is held against what it claims.
      const isFromStart = (view: NodeView): boolean => round > 0 && view.ids === null && !up.some(isEqual)
      const news = await readThose(todo, local, options, isFromStart)
      added.push(...news)
      // In the first round those read from a cursor may still have to be read from the beginning.
      if (round > 0 && news.length === 0) break
    }
    const verified = conclude(local, views, up)
    if (added.length > 0 || views.some(({ outcome }) => outcome === 'read')) await keep(local, options)
    if (local.size === 0 && views.every(({ outcome }) => outcome === 'failed')) throw nobodyAnswered(verified.problems)
    return { local, verified }
  }

  /** @param asked those of the views that were not left alone: no node is down for longer because nobody asked it */
  function conclude(local: LocalAvatar, views: readonly NodeView[], asked: readonly NodeView[]): VerifiedAvatar {
    const verified = reportOn(local, views)
    for (const [at, view] of views.entries()) {
      const standing = verified.nodes[at]?.standing
      if (standing !== undefined && asked.includes(view)) pool.reportStatus(view.api, standing)
    }
    return verified
  }

  return {
    read,
    load,
    known,
    keep,
    /** What came since the last time at one node. */
    async readOne(api: NodeApi, local: LocalAvatar, options: VerifyOptions = {}) {
      const view: NodeView = { api, outcome: 'asked', claim: null, ids: null, problems: [] }
      const read = await readInto(view, local, options, { fromStart: false })
      const added = [...read.added]
      if (isOpen(view) && view.claim?.digest !== local.digest && view.ids === null) {
        added.push(...(await readInto(view, local, options, { fromStart: true })).added)
      }
      if (added.length > 0) await keep(local, options)
      return {
        ...read,
        added,
        outcome: view.outcome === 'asked' ? ('failed' as const) : view.outcome,
        verified: conclude(local, [view], [view]),
      }
    },
  }
}

function isOpen({ outcome }: NodeView): boolean {
  return outcome === 'asked' || outcome === 'read'
}

function tooSlow({ url }: NodeApi): Problem {
  return { node: url, code: 'unreachable', message: `The node at ${url} is too slow.` }
}

function nobodyAnswered(problems: readonly Problem[]): ClientError {
  const [first] = problems
  const code = first === undefined || first.code === 'unreachable' ? 'unreachable' : 'bad_answer'
  const message = first?.message ?? 'No node answered.'
  return new ClientError(first?.code === 'refused' ? 'refused' : code, message, { node: first?.node })
}

async function isPending(promise: Promise<void>): Promise<boolean> {
  const pending = Symbol('pending')
  return (await Promise.race([promise, Promise.resolve(pending)])) === pending
}
