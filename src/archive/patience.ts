import type { Timers } from '../platform/environment.ts'
import { IngestBusyError } from '../ingest/errors.ts'
import type { Ingest, IngestResult } from '../ingest/types.ts'
import type { SignedRecord } from '../record/types.ts'
import type { Source } from '../shares/types.ts'

/** A busy door has room again within a fraction of a second; asking costs nothing. */
const WAIT_MS = 100
/** A door that is busy for so long is stuck. */
const MAX_WAITS = 3_000

/**
 * Hands records of an archive to the door, and waits while it is busy; the sender is held up meanwhile.
 *
 * @param source the host that sends the archive; default: all archives count as one host
 * @throws IngestBusyError if it stays busy for five minutes; anything else that the door throws
 */
export function patientDoor(
  ingest: Ingest,
  timers: Timers,
  source?: Source,
): (records: readonly SignedRecord[]) => Promise<IngestResult[]> {
  const options = { origin: 'import', ...(source === undefined ? {} : { source }) } as const
  return async (records) => {
    for (let waits = 0; ; waits++) {
      try {
        return await ingest.submit(records, options)
      } catch (error) {
        if (!(error instanceof IngestBusyError) || waits >= MAX_WAITS) throw error
        await new Promise<void>((resolve) => {
          timers.after(WAIT_MS, resolve)
        })
      }
    }
  }
}
