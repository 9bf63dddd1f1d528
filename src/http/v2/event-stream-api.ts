import type { ServerResponse } from 'node:http'

import type { Hold, Refusal, Source } from '../../shares/types.ts'
import type { EventFilter } from './event-filter.ts'

/** Where a stream begins: after a sequence of this store, at the next event, or with a `reset`. */
export type StreamStart = number | 'now' | 'reset'

export interface EventStreams {
  /** Takes a slot for a stream. Its connection is closed if a client without a stream needs the slot. */
  admit(source: Source, response: ServerResponse): Hold | Refusal
  /** Sends events to a response whose head is written, until either side ends it. */
  open(response: ServerResponse, options: { slot: Hold; filter: EventFilter | undefined; start: StreamStart }): void
  /** Drops the events in memory. Call it when an avatar is no longer hosted: the store leaves out its events. */
  dropEvents(): void
  count(): number
  /** Ends all streams. */
  close(): void
}
