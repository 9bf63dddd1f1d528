import type { RecordId } from '../../record/types.ts'
import type { Clock } from '../../platform/environment.ts'
import { readVerifiedPayload } from '../../record/payload.ts'
import type { ChangeEvent, StoreReader } from '../../store/types.ts'

/** Avatars whose latest change is listed. */
const MAX_CHANGES = 30
const HOURS = 24
const MINUTES = 60
const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000
/** Events of the stored feed that fill the list after a start. */
const SEED_EVENTS = 200
/** A larger payload is not parsed for its keys: the whole list is parsed at most once, and takes a few milliseconds. */
const MAX_PARSED_BYTES = 16 * 1024
const MAX_KEYS = 4
const MAX_KEY_CHARACTERS = 64

/** The latest change of an avatar. */
export interface Change {
  readonly avatar: string
  readonly id: RecordId
  readonly counter: number
  /** Unix seconds: when this node stored it; null if that was before it started. */
  readonly stored_at: number | null
  /** Unix seconds, as claimed by the author; null if the record is gone. */
  readonly created_at: number | null
  readonly type: 'patch' | 'snapshot' | 'part' | null
  readonly platform: string | null
  readonly identity: string | null
  /** The first top-level keys that a patch writes. */
  readonly keys: readonly string[]
}

export interface Activity {
  /** Unix seconds since when `hours` counts: the start of the node, or 24 hours ago. */
  readonly since: number
  /** Records stored in each of the last 24 hours; the last number is that of the hour that is not over. */
  readonly hours: readonly number[]
  /** Records stored in each of the last 60 minutes; the last number is that of the minute that is not over. */
  readonly minutes: readonly number[]
  /** One for each avatar, the newest first. */
  readonly changes: readonly Change[]
}

interface Entry {
  readonly event: ChangeEvent
  readonly storedAt: number | null
  /** Read once. */
  change?: Promise<Change>
}

export type ActivityLog = ReturnType<typeof createActivityLog>

/** Counts events in each of the last `spans` spans of time. */
function createCounter(clock: Clock, spanMs: number, spans: number) {
  const counts = new Map<number, number>()
  const now = (): number => Math.floor(clock.now() / spanMs)
  return {
    add(events: number): void {
      const span = now()
      counts.set(span, (counts.get(span) ?? 0) + events)
      if (counts.size > spans) for (const each of counts.keys()) if (each <= span - spans) counts.delete(each)
    },
    /** The present span last. */
    read: (): number[] => Array.from({ length: spans }, (_, at) => counts.get(now() - spans + 1 + at) ?? 0),
  }
}

/** Counts what the node stores, and remembers which avatars changed last. Memory: 30 entries and 84 numbers. */
export function createActivityLog(
  store: Pick<StoreReader, 'lastSequence' | 'events' | 'record' | 'onCommit'>,
  clock: Clock,
) {
  const startedMs = clock.now()
  const hours = createCounter(clock, HOUR_MS, HOURS)
  const minutes = createCounter(clock, MINUTE_MS, MINUTES)
  /** The latest change last. */
  const latest = new Map<string, Entry>()
  const before = store.lastSequence()
  let seeding: Promise<void> | undefined

  function put(event: ChangeEvent, storedAt: number | null): void {
    latest.delete(event.avatar)
    latest.set(event.avatar, { event, storedAt })
    if (latest.size > MAX_CHANGES) latest.delete(latest.keys().next().value as string)
  }

  const unsubscribe = store.onCommit((events) => {
    let stored = 0
    const storedAt = Math.floor(clock.now() / 1_000)
    for (const event of events) {
      if (event.kind !== 'record') continue
      stored += 1
      put(event, storedAt)
    }
    if (stored === 0) return
    hours.add(stored)
    minutes.add(stored)
  })

  /** Puts the changes of before the start below those that came since. */
  async function seed(): Promise<void> {
    const events = await store.events({ after: Math.max(0, before - SEED_EVENTS), limit: SEED_EVENTS })
    const since = [...latest.values()]
    latest.clear()
    for (const event of events === 'reset' ? [] : events) if (event.kind === 'record') put(event, null)
    for (const entry of since) {
      latest.delete(entry.event.avatar)
      latest.set(entry.event.avatar, entry)
    }
    while (latest.size > MAX_CHANGES) latest.delete(latest.keys().next().value as string)
  }

  async function describe({ event, storedAt }: Entry): Promise<Change> {
    const { avatar, id, counter } = event
    const record = await store.record(id)
    const nothing = { created_at: null, type: null, platform: null, identity: null, keys: [] }
    const known = { avatar, id, counter, stored_at: storedAt }
    if (record === undefined || record.payload.length > MAX_PARSED_BYTES) return { ...known, ...nothing }
    const body = readVerifiedPayload(record.payload)
    const { type, created_at } = body
    if (type !== 'patch') return { ...known, ...nothing, created_at, type }
    const keys = Object.keys(body.patch).slice(0, MAX_KEYS)
    return {
      ...known,
      created_at,
      type,
      platform: body.platform,
      identity: body.identity,
      keys: keys.map((key) => key.slice(0, MAX_KEY_CHARACTERS)),
    }
  }

  return {
    async read(): Promise<Activity> {
      seeding ??= seed().catch((error: unknown) => {
        seeding = undefined
        throw error
      })
      await seeding
      const firstHour = Math.floor(clock.now() / HOUR_MS) - HOURS + 1
      const entries = [...latest.values()].toReversed()
      const changes = entries.map((entry) => (entry.change ??= describe(entry)))
      return {
        since: Math.floor(Math.max(startedMs, firstHour * HOUR_MS) / 1_000),
        hours: hours.read(),
        minutes: minutes.read(),
        changes: await Promise.all(changes),
      }
    },
    close: unsubscribe,
  }
}
