/**
 * Signed records that no host has taken yet: kept in the browser until one has, so that closing the page loses nothing.
 * Signed records are no secret; keys are never in here.
 */
import type { Citation, RecordText } from '../../client/index.ts'
import { HostError, submitRecords, type SubmitResult } from './node-facts.ts'

export interface Waiting extends RecordText, Citation {
  readonly avatar: string
  readonly network: string
}

/** As much as a person writes in one journey. */
const MAX_WAITING = 200
const REQUEST_CHARACTERS = 6 * 1024 * 1024
const RETRY_MS = 4_000
/** A key for each record: pages that are open at once do not overwrite each other's. */
const PREFIX = 'avatar-kv.outbox.'

export interface Outbox {
  list(avatar?: string): readonly Waiting[]
  /** Keeps a record, and tries to hand it in. @returns what the host said; undefined where it did not answer */
  hand(record: Waiting): Promise<SubmitResult | undefined>
  drop(id: string): void
  /** @returns what stops it */
  onChange(listener: () => void): () => void
  /** What was said of records handed in later than they were signed. */
  readonly verdicts: ReadonlyMap<string, SubmitResult>
}

export function createOutbox(network: string, signal: AbortSignal): Outbox {
  let waiting = load().filter((each) => each.network === network)
  const listeners = new Set<() => void>()
  const verdicts = new Map<string, SubmitResult>()
  let flushing: Promise<void> | undefined

  function changed(): void {
    for (const each of listeners) each()
  }

  async function flush(): Promise<void> {
    while (waiting.length > 0) {
      const sent = firstOf(waiting)
      const results = await submitRecords(sent.map(({ payload, signature }) => ({ payload, signature })))
      const settled = new Set<string>()
      for (const [at, result] of results.entries()) {
        const id = sent[at]?.id
        if (id === undefined || (result.status === 'refused' && result.retry === true)) continue
        verdicts.set(id, result)
        settled.add(id)
      }
      waiting = waiting.filter(({ id }) => !settled.has(id))
      for (const id of settled) forget(id)
      changed()
      if (settled.size === 0) return
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

  const again = (): void => {
    if (waiting.length > 0) void flushOnce()
  }
  addEventListener('online', again, { signal })
  // Other pages of this host share what waits.
  const shared = ({ key }: StorageEvent): void => {
    if (key !== null && !key.startsWith(PREFIX)) return
    waiting = load().filter((each) => each.network === network)
    changed()
  }
  addEventListener('storage', shared, { signal })
  const timer = setInterval(again, RETRY_MS)
  signal.addEventListener('abort', () => clearInterval(timer))
  again()

  return {
    verdicts,
    list: (avatar) => (avatar === undefined ? waiting : waiting.filter((each) => each.avatar === avatar)),
    async hand(record) {
      if (waiting.length >= MAX_WAITING) {
        throw new HostError('refused', `${MAX_WAITING} changes wait already. Wait until this host takes them.`)
      }
      waiting = [...waiting, record]
      keep(record)
      changed()
      await flushOnce()
      // A flush that was under way when it came may have left without it.
      if (waiting.some(({ id }) => id === record.id)) await flushOnce()
      return verdicts.get(record.id)
    },
    drop(id) {
      waiting = waiting.filter((each) => each.id !== id)
      forget(id)
      changed()
    },
    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}

/** As many as fit into a request: nodes take 16 MiB, and quotes double in JSON. */
function firstOf(waiting: readonly Waiting[]): Waiting[] {
  let characters = 0
  return waiting.filter(({ payload }, at) => (characters += payload.length) <= REQUEST_CHARACTERS || at === 0)
}

/** In the order in which they build on each other. */
function load(): Waiting[] {
  const found: Waiting[] = []
  try {
    for (const key of Object.keys(localStorage)) {
      if (!key.startsWith(PREFIX) || found.length >= MAX_WAITING) continue
      const record = parse(localStorage.getItem(key))
      if (record !== undefined) found.push(record)
    }
  } catch {
    // No storage here: what waits lasts as long as the page.
  }
  return found.sort((a, b) => a.counter - b.counter)
}

function parse(text: string | null): Waiting | undefined {
  try {
    const value: unknown = JSON.parse(text ?? '')
    return isWaiting(value) ? value : undefined
  } catch {
    return undefined
  }
}

function keep(record: Waiting): void {
  try {
    localStorage.setItem(PREFIX + record.id, JSON.stringify(record))
  } catch {
    // No storage, or a full one: it lasts as long as the page.
  }
}

function forget(id: string): void {
  try {
    localStorage.removeItem(PREFIX + id)
  } catch {
    // Nothing was kept.
  }
}

function isWaiting(value: unknown): value is Waiting {
  if (typeof value !== 'object' || value === null) return false
  const record = value as Record<string, unknown>
  return (
    ['payload', 'signature', 'id', 'avatar', 'network'].every((key) => typeof record[key] === 'string') &&
    Number.isSafeInteger(record['counter'])
  )
}
