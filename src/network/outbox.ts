import type { Clock, Timers } from '../platform/environment.ts'
import type { Logger } from '../observe/types.ts'
import { encodedBytes } from '../record/codec.ts'
import type { SignedRecord } from '../record/types.ts'

export interface OutboxLimits {
  /** A message is closed before it exceeds this size. Only a single larger record makes a larger message. */
  readonly messageBytes: number
  /** Records in one message at most. */
  readonly messageRecords: number
  /**
   * Time between messages that are not full, in milliseconds: how long a record waits for others to share its message. A
   * lone record leaves at once.
   */
  readonly delayMs: number
  /** Most bytes of records that wait. Above it the oldest are dropped. */
  readonly queueBytes: number
}

/** At most one log line about dropped records in this time. */
const DROP_LOG_INTERVAL_MS = 10_000

/**
 * Gathers outgoing records into messages. A message leaves as soon as it is full, otherwise `delayMs` after the previous one.
 * The queue is bounded: gossip is only a hint, so the oldest records are dropped when sending does not keep up.
 *
 * @param components.send sends one message; the next one waits for it
 */
export function createOutbox(
  components: {
    readonly timers: Timers
    readonly clock: Clock
    readonly logger: Logger
    readonly send: (records: readonly SignedRecord[]) => Promise<void>
    /** Called when records were dropped. */
    readonly onDrop?: () => void
  },
  limits: OutboxLimits,
) {
  const { timers, clock, logger, send } = components
  let queue: { record: SignedRecord; bytes: number }[] = []
  // Records before `first` have been sent or dropped.
  let first = 0
  let bytes = 0
  let dueBytes = 0
  let cancelTimer: (() => void) | undefined
  let sending: Promise<void> | undefined
  let sentAtMs = Number.NEGATIVE_INFINITY
  let dropped = 0
  let loggedDrops = 0
  let loggedAtMs = Number.NEGATIVE_INFINITY

  function shift(): SignedRecord | undefined {
    const entry = queue[first]
    if (entry === undefined) return undefined
    first += 1
    bytes -= entry.bytes
    dueBytes = Math.max(0, dueBytes - entry.bytes)
    // Only now and then, so that the cost of a record does not depend on the length of the queue.
    if (first > 1024 && first * 2 > queue.length) {
      queue = queue.slice(first)
      first = 0
    }
    return entry.record
  }

  function takeMessage(): SignedRecord[] {
    const records: SignedRecord[] = []
    let size = 0
    for (;;) {
      const next = queue[first]
      if (next === undefined || records.length >= limits.messageRecords) break
      if (records.length > 0 && size + next.bytes > limits.messageBytes) break
      size += next.bytes
      shift()
      records.push(next.record)
    }
    return records
  }

  const isDue = (): boolean => bytes > 0 && (dueBytes > 0 || bytes >= limits.messageBytes)
  const isBusy = (): boolean => bytes > 0 || sending !== undefined

  async function sendWhatIsDue(): Promise<void> {
    while (isDue()) {
      try {
        await send(takeMessage())
        sentAtMs = clock.now()
      } catch (error) {
        logger.debug({ err: error }, 'a gossip message was not sent')
      }
    }
  }

  function pump(): Promise<void> {
    sending ??= sendWhatIsDue().finally(() => {
      sending = undefined
      arm()
    })
    return sending
  }

  function arm(): void {
    if (bytes === 0 || cancelTimer !== undefined) return
    const sinceLastMs = Math.max(0, clock.now() - sentAtMs)
    cancelTimer = timers.after(Math.max(0, limits.delayMs - sinceLastMs), () => {
      cancelTimer = undefined
      dueBytes = bytes
      void pump()
    })
  }

  function disarm(): void {
    cancelTimer?.()
    cancelTimer = undefined
  }

  function dropOldest(): void {
    const before = dropped
    while (bytes > limits.queueBytes && shift() !== undefined) dropped += 1
    if (dropped > before) components.onDrop?.()
    const now = clock.now()
    if (dropped === loggedDrops || now - loggedAtMs < DROP_LOG_INTERVAL_MS) return
    logger.warn(
      { dropped: dropped - loggedDrops, dropped_total: dropped },
      'more records than gossip can send: the oldest were not announced and reach other nodes by sync',
    )
    loggedDrops = dropped
    loggedAtMs = now
  }

  return {
    add(records: readonly SignedRecord[]): void {
      for (const record of records) {
        const size = encodedBytes(record)
        queue.push({ record, bytes: size })
        bytes += size
      }
      dropOldest()
      if (bytes >= limits.messageBytes) void pump()
      else arm()
    },
    queuedBytes: () => bytes,
    /** Records dropped since the start. */
    dropped: () => dropped,
    /** Sends what is queued; resolves when it is sent or has failed. */
    async flush(): Promise<void> {
      disarm()
      while (isBusy()) {
        dueBytes = bytes
        await pump()
      }
      disarm()
    },
  }
}

export type Outbox = ReturnType<typeof createOutbox>
