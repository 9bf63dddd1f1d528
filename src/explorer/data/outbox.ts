/**
 * Signed records that the host has not taken yet. The browser stores them until the host takes them or the person discards
 * them. Signed records are no secret. Keys are never stored here.
 */
import { SUBMIT_BYTES, SUBMIT_RECORDS } from '../../client/limits.ts'
import { HostError, submitRecords, type SubmitResult } from './node-facts.ts'
import { idOfKey, readAll, readOne, removeOne, writeOne } from './outbox-disk.ts'
import { byCounter, citationsOf, type Kept, type Waiting } from './waiting.ts'

/** As much as a person writes in one journey. */
const MAX_WAITING = 200
const RETRY_MS = 4_000
/** The host keeps it: nothing of it is left to do here. */
const TAKEN: ReadonlySet<string> = new Set<SubmitResult['status']>(['stored', 'pending', 'duplicate'])
/** Of an answer to a whole request: what was sent is at fault, and will be tomorrow. */
const AT_FAULT: ReadonlySet<number | undefined> = new Set([400, 413, 422])

export interface Outbox {
  /** What is still to be sent, in the order in which it builds on each other. */
  list(avatar?: string): readonly Kept[]
  /** What the host does not take, with its verdict: kept until the person decides. */
  declined(avatar?: string): readonly Kept[]
  find(id: string): Kept | undefined
  /** Whether closing the page loses nothing. */
  isSafe(): boolean
  /** Keeps a record, and tries to hand it in. */
  hand(record: Waiting): Promise<void>
  /** Tries once more what was declined. */
  sendAgain(id: string): Promise<void>
  drop(id: string): void
  /** @returns what stops it */
  onChange(listener: () => void): () => void
  /** What was said of the records that the host took from this page. */
  readonly verdicts: ReadonlyMap<string, SubmitResult>
}

export function createOutbox(network: string, signal: AbortSignal): Outbox {
  let all: readonly Kept[] = readAll(network).sort(byCounter)
  const listeners = new Set<() => void>()
  const verdicts = new Map<string, SubmitResult>()
  let flushing: Promise<void> | undefined

  const isOf = (each: Kept, avatar?: string): boolean => avatar === undefined || each.avatar === avatar
  const list = (avatar?: string): Kept[] => all.filter((each) => each.verdict === undefined && isOf(each, avatar))
  const find = (id: string): Kept | undefined => all.find((each) => each.id === id)

  function changed(): void {
    for (const each of listeners) each()
  }

  function put(record: Kept): void {
    all = [...all.filter(({ id }) => id !== record.id), record].sort(byCounter)
  }

  function remove(id: string): void {
    removeOne(id)
    all = all.filter((each) => each.id !== id)
  }

  /** After some were removed: the oldest that are in memory alone go to disk, until one does not fit. */
  function takeRoom(): void {
    let isFull = false
    all = all.map((each) => {
      if (each.isOnDisk || isFull) return each
      const tried = writeOne(each)
      isFull = !tried.isOnDisk
      return tried
    })
  }

  async function flush(): Promise<void> {
    for (let sent = firstOf(list()); sent.length > 0; sent = firstOf(list())) {
      const results = await submitEach(sent)
      let hasMoved = false
      for (const [at, verdict] of results.entries()) {
        const id = sent[at]?.id
        if (id !== undefined && settle(id, verdict)) hasMoved = true
      }
      takeRoom()
      changed()
      if (!hasMoved) return
    }
  }

  /** False where it goes on waiting. */
  function settle(id: string, verdict: SubmitResult): boolean {
    if (verdict.status === 'refused' && verdict.retry === true) return false
    // Another page may have discarded it meanwhile.
    const record = find(id)
    const ground = record === undefined ? undefined : groundOf(record)
    if (TAKEN.has(verdict.status) && (verdict.status === 'stored' || ground === undefined)) {
      verdicts.set(id, verdict)
      remove(id)
      for (const each of all) {
        const isReady = each.verdict?.status === 'pending' && groundOf(each) === undefined
        if (isReady && citationsOf(each).some((cited) => cited.id === id)) unsay(each)
      }
      return true
    }
    // Held by the host, but it counts only after one that is still here.
    if (ground !== undefined && ground.verdict === undefined && TAKEN.has(verdict.status)) return false
    if (record !== undefined) {
      put(writeOne({ ...record, verdict: TAKEN.has(verdict.status) ? { ...verdict, status: 'pending' } : verdict }))
    }
    return true
  }

  /** Of what a record was built on, the first that the host lacks. A snapshot that took its place stands for it. */
  function groundOf(record: Kept): Kept | undefined {
    return citationsOf(record)
      .map(({ id }) => find(id))
      .find((each) => each !== undefined && each.verdict?.status !== 'superseded')
  }

  function unsay(record: Kept): void {
    const { verdict: _, ...unsaid } = record
    put(writeOne(unsaid))
  }

  /** In order, one request at a time. */
  async function flushOnce(): Promise<void> {
    flushing ??= flush().finally(() => {
      flushing = undefined
    })
    try {
      await flushing
    } catch (error) {
      if (!(error instanceof HostError)) throw error
    }
  }

  async function send(record: Kept): Promise<void> {
    unsay(record)
    changed()
    await flushOnce()
    // A flush that was under way when it came may have left without it.
    if (list().some(({ id }) => id === record.id)) await flushOnce()
  }

  const again = (): void => {
    if (list().length > 0) void flushOnce()
  }
  addEventListener('online', again, { signal })
  // Other pages of this host share what is on disk. What is in this page alone they know nothing of.
  const shared = ({ key }: StorageEvent): void => {
    if (key === null) {
      all = all.map((each) => ({ ...each, isOnDisk: false }))
    } else {
      const id = idOfKey(key)
      if (id === undefined) return
      const record = readOne(id, network)
      if (record !== undefined) put(record)
      else all = all.filter((each) => each.id !== id || !each.isOnDisk)
    }
    changed()
  }
  addEventListener('storage', shared, { signal })
  const timer = setInterval(again, RETRY_MS)
  signal.addEventListener('abort', () => clearInterval(timer))
  again()

  return {
    verdicts,
    list,
    find,
    isSafe: () => all.every(({ isOnDisk }) => isOnDisk),
    declined: (avatar) => all.filter((each) => each.verdict !== undefined && isOf(each, avatar)),
    async hand(record) {
      if (list().length >= MAX_WAITING) {
        throw new HostError('refused', `${MAX_WAITING} changes wait already. Wait until this host takes them.`)
      }
      await send({ ...record, isOnDisk: false })
    },
    async sendAgain(id) {
      const record = find(id)
      if (record !== undefined) await send(record)
    },
    drop(id) {
      remove(id)
      takeRoom()
      changed()
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

/**
 * What the host says of each. Where it does not take a request as a whole, each goes alone, so that one does not hold up the
 * others (a proxy before it may take less than it does).
 *
 * @throws HostError
 */
async function submitEach(records: readonly Waiting[]): Promise<readonly SubmitResult[]> {
  try {
    return await submitRecords(records.map(({ payload, signature }) => ({ payload, signature })))
  } catch (error) {
    if (!(error instanceof HostError) || !AT_FAULT.has(error.status)) throw error
    if (records.length === 1) return [{ id: null, status: 'refused', retry: false, message: error.message }]
    const results: SubmitResult[] = []
    for (const each of records) results.push(...(await submitEach([each])))
    return results
  }
}

/** As many as fit into a request: nodes take 16 MiB, and quotes double in JSON. */
function firstOf(waiting: readonly Kept[]): Kept[] {
  let bytes = 0
  return waiting
    .slice(0, SUBMIT_RECORDS)
    .filter(({ payload }, at) => (bytes += encoder.encode(payload).length) <= SUBMIT_BYTES || at === 0)
}

const encoder = new TextEncoder()
