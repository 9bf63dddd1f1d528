/**
 * Signed records that no host has taken yet: kept in the browser until one has, or until the person discards them.
 * Signed records are no secret; keys are never in here.
 */
import type { Citation, RecordText } from '../../client/index.ts'
import { HostError, submitRecords, type SubmitResult } from './node-facts.ts'

export interface Waiting extends RecordText, Citation {
  readonly avatar: string
  readonly network: string
}

export interface Kept extends Waiting {
  /** False where the browser has no room for it: it lasts as long as this page. */
  readonly isOnDisk: boolean
  /** What the host said that does not take it; it is not sent again by itself. */
  readonly verdict?: SubmitResult
}

/** As much as a person writes in one journey. */
const MAX_WAITING = 200
const REQUEST_CHARACTERS = 6 * 1024 * 1024
const RETRY_MS = 4_000
/** A key for each record: pages that are open at once do not overwrite each other's. */
const PREFIX = 'avatar-kv.outbox.'
/** The host keeps it: nothing of it is left to do here. */
const TAKEN: ReadonlySet<string> = new Set<SubmitResult['status']>(['stored', 'pending', 'duplicate'])

export interface Outbox {
  /** What is still to be sent, in the order in which it builds on each other. */
  list(avatar?: string): readonly Kept[]
  /** What the host does not take, with its verdict: kept until the person decides. */
  declined(avatar?: string): readonly Kept[]
  find(id: string): Kept | undefined
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
  let all: readonly Kept[] = load(network)
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
    forget(id)
    all = all.filter((each) => each.id !== id)
  }

  /** After some were removed: the oldest that are in memory alone go to disk, until one does not fit. */
  function takeRoom(): void {
    let isFull = false
    all = all.map((each) => {
      if (each.isOnDisk || isFull) return each
      const tried = kept(each)
      isFull = !tried.isOnDisk
      return tried
    })
  }

  async function flush(): Promise<void> {
    for (let sent = firstOf(list()); sent.length > 0; sent = firstOf(list())) {
      const results = await submitRecords(sent.map(({ payload, signature }) => ({ payload, signature })))
      let hasMoved = false
      for (const [at, verdict] of results.entries()) {
        const id = sent[at]?.id
        if (id === undefined || (verdict.status === 'refused' && verdict.retry === true)) continue
        hasMoved = true
        // Another page may have discarded it meanwhile.
        const record = find(id)
        if (TAKEN.has(verdict.status)) {
          verdicts.set(id, verdict)
          remove(id)
        } else if (record !== undefined) {
          put(kept({ ...record, verdict }))
        }
      }
      takeRoom()
      changed()
      if (!hasMoved) return
    }
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
    put(kept(record))
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
    } else if (key.startsWith(PREFIX)) {
      const record = read(key)
      const id = key.slice(PREFIX.length)
      if (record?.network === network && record.id === id) put(record)
      else all = all.filter((each) => each.id !== id || !each.isOnDisk)
    } else {
      return
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
    declined: (avatar) => all.filter((each) => each.verdict !== undefined && isOf(each, avatar)),
    async hand(record) {
      if (list().length >= MAX_WAITING) {
        throw new HostError('refused', `${MAX_WAITING} changes wait already. Wait until this host takes them.`)
      }
      await send({ ...record, isOnDisk: false })
    },
    async sendAgain(id) {
      const record = find(id)
      if (record === undefined) return
      const { verdict: _, ...unsaid } = record
      await send(unsaid)
    },
    drop(id) {
      remove(id)
      takeRoom()
      changed()
    },
    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}

/** As many as fit into a request: nodes take 16 MiB, and quotes double in JSON. */
function firstOf(waiting: readonly Kept[]): Kept[] {
  let characters = 0
  return waiting.filter(({ payload }, at) => (characters += payload.length) <= REQUEST_CHARACTERS || at === 0)
}

function byCounter(a: Waiting, b: Waiting): number {
  return a.counter - b.counter
}

function load(network: string): Kept[] {
  let keys: string[] = []
  try {
    keys = Object.keys(localStorage).filter((key) => key.startsWith(PREFIX))
  } catch {
    // No storage here: what waits lasts as long as the page.
  }
  return keys
    .map(read)
    .filter((record): record is Kept => record?.network === network)
    .sort(byCounter)
}

function read(key: string): Kept | undefined {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(key) ?? '')
    return isWaiting(value) ? { ...value, isOnDisk: true } : undefined
  } catch {
    return undefined
  }
}

/** Writes it to disk. Where that has no room, what it held of this record before stays there. */
function kept(record: Kept): Kept {
  try {
    localStorage.setItem(PREFIX + record.id, JSON.stringify({ ...record, isOnDisk: undefined }))
    return { ...record, isOnDisk: true }
  } catch {
    return record
  }
}

function forget(id: string): void {
  try {
    localStorage.removeItem(PREFIX + id)
  } catch {
    // Nothing was kept.
  }
}

function isWaiting(value: unknown): value is Waiting & Pick<Kept, 'verdict'> {
  if (typeof value !== 'object' || value === null) return false
  const record = value as Record<string, unknown>
  return (
    ['payload', 'signature', 'id', 'avatar', 'network'].every((key) => typeof record[key] === 'string') &&
    Number.isSafeInteger(record['counter']) &&
    (record['verdict'] === undefined || isVerdict(record['verdict']))
  )
}

function isVerdict(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'status' in value && typeof value.status === 'string'
}
