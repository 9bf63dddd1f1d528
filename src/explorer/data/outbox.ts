/**
 * Signed changes that the host has not taken yet. The browser stores them until the host takes them or the person discards them.
 * Signed changes are no secret. Keys are never stored here.
 *
 * Which changes go into a request, and when one leaves the queue, are the rules of `client/delivery.ts`, which the replica follows
 * too. docs/architecture.md says why the page does not use the replica's queue.
 */
import { answering, fatesOf, nextBatch, sendBatch, STORED_STATUSES } from '../../client/delivery.ts'
import { utf8Length } from '../../record/order.ts'
import { ClientError } from '../../client/index.ts'
import { hostApi, hostText } from './host.ts'
import { citationsOf, type OutboxEntry, type SignedChange, type Verdict } from './outbox-entry.ts'
import { idOfKey, readAll, readOne, removeOne, writeOne } from './outbox-disk.ts'

/** More than a person writes while offline. */
const MAX_WAITING = 200
const RETRY_MS = 4_000

export type Outbox = ReturnType<typeof createOutbox>

export function createOutbox(network: string, signal: AbortSignal) {
  const api = answering(hostApi(signal), hostText)
  let all: readonly OutboxEntry[] = readAll(network).sort(byCounter)
  const listeners = new Set<() => void>()
  /** The host's answers for the changes that it took from this page. */
  const verdicts = new Map<string, Verdict>()
  let flushing: Promise<void> | undefined

  const entries = (isDeclined: boolean, avatar?: string): readonly OutboxEntry[] =>
    all.filter((each) => (each.verdict !== undefined) === isDeclined && each.avatar === (avatar ?? each.avatar))
  const waiting = (avatar?: string) => entries(false, avatar)
  const find = (id: string): OutboxEntry | undefined => all.find((each) => each.id === id)

  function changed(): void {
    for (const each of listeners) each()
  }

  function put(entry: OutboxEntry): void {
    all = [...all.filter(({ id }) => id !== entry.id), entry].sort(byCounter)
  }

  function remove(id: string): void {
    removeOne(id)
    all = all.filter((each) => each.id !== id)
  }

  /** Writes changes that are only in memory to the room that others have left: the oldest first, until one does not fit. */
  function useRoom(): void {
    let isFull = false
    all = all.map((each) => {
      if (each.isOnDisk || isFull) return each
      const tried = writeOne(each)
      isFull = !tried.isOnDisk
      return tried
    })
  }

  async function flush(): Promise<void> {
    for (let batch = next(); batch.length > 0; batch = next()) {
      const answers = await sendBatch(api, batch, { signal })
      const sent = batch.map((each) => ({ id: each.id, prev: citationsOf(each) }))
      const fates = fatesOf(sent, answers, fateOf)
      for (const [at, { id }] of batch.entries()) {
        const answer = answers[at]
        if (answer === undefined || fates[at] === 'waits') continue
        if (fates[at] === 'taken') take(id, answer)
        else decline(id, answer)
      }
      useRoom()
      changed()
      if (fates.every((fate) => fate === 'waits')) return
    }
  }

  const next = (): readonly OutboxEntry[] => nextBatch(waiting(), ({ payload }) => utf8Length(payload))

  function fateOf(id: string): 'waits' | 'refused' | undefined {
    const entry = find(id)
    if (entry === undefined || entry.verdict?.status === 'superseded') return undefined
    return entry.verdict === undefined ? 'waits' : 'refused'
  }

  /** Also sends the changes again that were declined because they build on this one. */
  function take(id: string, verdict: Verdict): void {
    verdicts.set(id, verdict)
    remove(id)
    for (const each of all) {
      const cited = citationsOf(each)
      if (each.verdict?.status !== 'pending' || !cited.some((citation) => citation.id === id)) continue
      if (cited.every((citation) => fateOf(citation.id) === undefined)) clearVerdict(each)
    }
  }

  function decline(id: string, verdict: Verdict): void {
    // Another page may have discarded it meanwhile.
    const entry = find(id)
    if (entry === undefined) return
    // The host stored it, but it has no effect there without a change that the host refused.
    const isStored = STORED_STATUSES.has(verdict.status)
    put(writeOne({ ...entry, verdict: isStored ? { ...verdict, status: 'pending' } : verdict }))
  }

  function clearVerdict(entry: OutboxEntry): void {
    const { verdict: _, ...cleared } = entry
    put(writeOne(cleared))
  }

  /** One request at a time. A failure is no verdict: the changes wait. */
  async function flushOnce(): Promise<void> {
    flushing ??= flush().finally(() => {
      flushing = undefined
    })
    try {
      await flushing
    } catch (error) {
      if (!(error instanceof ClientError)) throw error
    }
  }

  async function send(entry: OutboxEntry): Promise<void> {
    clearVerdict(entry)
    changed()
    await flushOnce()
    // A flush that was under way may have ended without this change.
    if (waiting().some(({ id }) => id === entry.id)) await flushOnce()
  }

  const retry = (): void => {
    if (waiting().length > 0) void flushOnce()
  }
  addEventListener('online', retry, { signal })
  // Other pages of this host share the disk. They do not know of changes that are only in the memory of this page.
  const heard = ({ key }: StorageEvent): void => {
    if (key === null) {
      all = all.map((each) => ({ ...each, isOnDisk: false }))
    } else {
      const id = idOfKey(key)
      if (id === undefined) return
      const entry = readOne(id, network)
      if (entry !== undefined) put(entry)
      else all = all.filter((each) => each.id !== id || !each.isOnDisk)
    }
    changed()
  }
  addEventListener('storage', heard, { signal })
  const timer = setInterval(retry, RETRY_MS)
  signal.addEventListener('abort', () => clearInterval(timer))
  retry()

  return {
    verdicts: verdicts as ReadonlyMap<string, Verdict>,
    /** Changes that are to be sent, in the order in which they build on each other. */
    waiting,
    find,
    /** Whether all changes are on disk, so that closing the page loses none. */
    isSafe: (): boolean => all.every(({ isOnDisk }) => isOnDisk),
    /** Changes that the host refuses, with its verdict. The person decides what happens to them. */
    declined: (avatar?: string) => entries(true, avatar),
    /** Stores a change, and tries to send it. @throws ClientError `refused` if too many wait */
    async add(change: SignedChange): Promise<void> {
      if (waiting().length >= MAX_WAITING) {
        throw new ClientError('refused', `${MAX_WAITING} changes wait already. Wait until this host takes them.`)
      }
      await send({ ...change, isOnDisk: false })
    },
    /** Sends a declined change again. */
    async sendAgain(id: string): Promise<void> {
      const entry = find(id)
      if (entry !== undefined) await send(entry)
    },
    discard(id: string): void {
      remove(id)
      useRoom()
      changed()
    },
    /** @returns a function that ends it */
    onChange(listener: () => void): () => void {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}

function byCounter(a: SignedChange, b: SignedChange): number {
  return a.counter - b.counter
}
