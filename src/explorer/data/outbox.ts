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
const RETRY_MS = 4_000
const KEY = 'avatar-kv.outbox'

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
    save(waiting)
    for (const each of listeners) each()
  }

  async function flush(): Promise<void> {
    while (waiting.length > 0) {
      const sent = [...waiting]
      const results = await submitRecords(sent.map(({ payload, signature }) => ({ payload, signature })))
      const settled = new Set<string>()
      for (const [at, result] of results.entries()) {
        const id = sent[at]?.id
        if (id === undefined || (result.status === 'refused' && result.retry === true)) continue
        verdicts.set(id, result)
        settled.add(id)
      }
      waiting = waiting.filter(({ id }) => !settled.has(id))
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
      changed()
      await flushOnce()
      // A flush that was under way when it came may have left without it.
      if (waiting.some(({ id }) => id === record.id)) await flushOnce()
      return verdicts.get(record.id)
    },
    drop(id) {
      waiting = waiting.filter((each) => each.id !== id)
      changed()
    },
    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}

function load(): Waiting[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? '[]')
    return Array.isArray(kept) ? kept.filter(isWaiting).slice(0, MAX_WAITING) : []
  } catch {
    // No storage, or none of ours in it: then it lasts as long as the page.
    return []
  }
}

function save(waiting: readonly Waiting[]): void {
  try {
    if (waiting.length === 0) localStorage.removeItem(KEY)
    else localStorage.setItem(KEY, JSON.stringify(waiting))
  } catch {
    return
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
