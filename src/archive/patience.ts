import type { Timers } from '../environment.ts'
import { IngestBusyError } from '../ingest/errors.ts'
import type { Ingest, IngestResult } from '../ingest/types.ts'
import type { SignedRecord } from '../record/types.ts'

/** A busy door has room again within a fraction of a second; asking costs nothing. */
const WAIT_MS = 100
/** A door that is busy for so long is stuck. */
const MAX_WAITS = 3_000

/**
 * Hands records of an archive to the door, and waits where it is busy: whoever sends them is held up meanwhile.
 *
 * @throws IngestBusyError where it stays busy for five minutes; whatever else the door throws
 */
export function patientDoor(
  ingest: Ingest,
  timers: Timers,
): (records: readonly SignedRecord[]) => Promise<IngestResult[]> {
  return async (records) => {
    for (let waits = 0; ; waits++) {
      try {
        return await ingest.submit(records, { origin: 'import' })
      } catch (error) {
        if (!(error instanceof IngestBusyError) || waits >= MAX_WAITS) throw error
        await new Promise<void>((resolve) => {
          timers.after(WAIT_MS, resolve)
        })
      }
    }
  }
}
