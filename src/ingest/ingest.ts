/**
 * The only way into the store, for records from every source: decode and verify, admit, append, announce.
 *
 * Guarantees: nothing is acknowledged before it is on disk; writers that wait at the same time share one fsync; a submission
 * that does not fit into the queue is refused as a whole. Not guaranteed: any order between submissions. If a submission
 * fails because the store failed, some of its records may be on disk; sent again, those are duplicates.
 */
import { yieldToEventLoop } from '../platform/yield.ts'
import type { Environment } from '../platform/environment.ts'
import type { Logger, Metrics } from '../observe/types.ts'
import { RecordError } from '../record/errors.ts'
import type { SignedRecord, VerifiedRecord } from '../record/types.ts'
import { Shares } from '../shares/shares.ts'
import type { Source } from '../shares/types.ts'
import type { Store } from '../store/types.ts'
import type { VerifyService } from '../verify/types.ts'
import { ADMITS_ALL, refusedByAdmission, refusedByScreen, refusedUnseen, type Admission } from './admission.ts'
import { IngestBusyError } from './errors.ts'
import {
  DEFAULT_INGEST_LIMITS,
  MAX_AHEAD_SECONDS,
  RETRY_AFTER_SECONDS,
  waitingShares,
  type IngestLimits,
} from './limits.ts'
import type { Ingest, IngestResult, Origin } from './types.ts'
import { BATCH_INVALID, createdAhead, explainAllInvalid, explainCommit } from './verdicts.ts'
import { WorkQueue } from './work-queue.ts'

export interface IngestComponents {
  readonly store: Pick<Store, 'commit'>
  readonly verifier: Pick<VerifyService, 'verify'>
  readonly environment: Pick<Environment, 'clock'>
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'records' | 'gauge'>
  /** Called with all records that were new, once they are on disk. */
  readonly announce: (records: readonly SignedRecord[], origin: Origin) => void
  /** The avatars whose records are accepted. Default: all. */
  readonly admission?: Admission
}

/** One record in one stage. */
interface Work<T, R> {
  readonly input: T
  /** Its index in the submission. */
  readonly at: number
  readonly settle: (at: number, result: R | undefined, fault?: { readonly error: unknown }) => void
}
type Checked = VerifiedRecord | RecordError

export function createIngest(
  components: IngestComponents,
  limits: IngestLimits = DEFAULT_INGEST_LIMITS,
): Ingest & { stop(): Promise<void> } {
  const { store, verifier, environment, logger, metrics, admission = ADMITS_ALL } = components
  let waitingRecords = 0
  const waiting = {
    records: new Shares(waitingShares(limits.waitingRecords)),
    bytes: new Shares(waitingShares(limits.waitingBytes)),
  }
  let isStopped = false
  metrics.gauge('ingest_waiting_records', 'Records in ingest that are not on disk yet.', () => waitingRecords)

  const withRecoveryByte = verifyQueue(true)
  const exact = verifyQueue(false)
  const commits = new WorkQueue<Work<VerifiedRecord, IngestResult>>(
    { count: limits.commitRecords, bytes: limits.batchBytes },
    payloadBytes,
    (work) => stage(work, commit),
  )

  function verifyQueue(recoveryByte: boolean): WorkQueue<Work<SignedRecord, Checked>> {
    const most = { count: limits.verifyRecords, bytes: limits.batchBytes }
    return new WorkQueue<Work<SignedRecord, Checked>>(most, payloadBytes, (work) =>
      stage(work, (records) => verifier.verify(records, { recoveryByte })),
    )
  }

  /** Checks admission again at the commit, so that nothing is appended for an avatar that was removed meanwhile. */
  async function commit(records: readonly VerifiedRecord[]): Promise<IngestResult[]> {
    const refused = records.map(({ id, body }) => refusedByAdmission(admission, body.avatar, id))
    const admitted = records.filter((_, at) => refused[at] === undefined)
    const results = admitted.length === 0 ? [] : await store.commit(admitted)
    const explained = results.map((result, at) => explainCommit((admitted[at] as VerifiedRecord).id, result)).values()
    return refused.map((refusal) => refusal ?? (explained.next().value as IngestResult))
  }

  async function decide(
    records: readonly SignedRecord[],
    checked: readonly Checked[],
    { origin, source, atomic = false }: Parameters<Ingest['submit']>[1],
  ): Promise<IngestResult[]> {
    const results = await explainAllInvalid(records, checked)
    if (atomic && results.some((result) => result !== undefined)) {
      return checked.map((record, at) => results[at] ?? { id: (record as VerifiedRecord).id, ...BATCH_INVALID })
    }
    const newest = Math.floor(environment.clock.now() / 1_000) + MAX_AHEAD_SECONDS
    const timely: { record: VerifiedRecord; at: number }[] = []
    checked.forEach((record, at) => {
      if (record instanceof RecordError) return
      if (record.body.created_at > newest) results[at] = createdAhead(record.id)
      else timely.push({ record, at })
    })
    const screened = await refusedByScreen(
      admission,
      timely.map(({ record }) => record),
      { origin, source: source ?? { key: origin, isShared: true } },
    )
    const admitted = timely.filter((_, index) => screened[index] === undefined)
    for (const [index, { at }] of timely.entries()) results[at] = screened[index]
    const committed = await pass(
      commits,
      admitted.map(({ record }) => record),
      source?.key ?? origin,
    )
    const news: SignedRecord[] = []
    admitted.forEach(({ record, at }, index) => {
      const result = committed.results[index]
      if (result === undefined) return
      results[at] = result
      if (result.status === 'stored' || result.status === 'pending') news.push(record)
    })
    // Announce them now, even if other records failed: sent again, they would be duplicates and never announced.
    if (news.length > 0) announce(news, origin)
    if (committed.fault !== undefined) throw committed.fault.error
    return results as IngestResult[]
  }

  function announce(records: readonly SignedRecord[], origin: Origin): void {
    try {
      components.announce(records, origin)
    } catch (error) {
      logger.error({ err: error, records: records.length }, 'records are stored, but could not be announced')
    }
  }

  /**
   * Reserves places for records; the returned function releases them. A submission larger than a share counts as the whole
   * share: its sender has bounded it, and an empty queue accepts it.
   */
  function admit(source: Source, records: readonly SignedRecord[]): (() => void) | undefined {
    const bytes = records.reduce((sum, { payload, signature }) => sum + payload.length + signature.length, 0)
    const part = source.isShared === true ? 1 : 0.5
    const places = waiting.records.take(source, Math.min(records.length, Math.ceil(limits.waitingRecords * part)))
    if (typeof places === 'string') return undefined
    const room = waiting.bytes.take(source, Math.min(bytes, Math.ceil(limits.waitingBytes * part)))
    if (typeof room === 'string') {
      places.release()
      return undefined
    }
    return () => {
      places.release()
      room.release()
    }
  }

  return {
    async submit(records, options) {
      const { origin } = options
      const unseen = refusedUnseen(admission, records, origin)
      if (unseen !== undefined) {
        count(metrics, origin, unseen)
        return unseen
      }
      const source = options.source ?? { key: origin, isShared: true }
      const release = isStopped ? undefined : admit(source, records)
      if (release === undefined) throw new IngestBusyError(RETRY_AFTER_SECONDS)
      waitingRecords += records.length
      try {
        const queue = origin === 'http' || origin === 'import' ? withRecoveryByte : exact
        const checked = await pass(queue, records, source.key)
        if (checked.fault !== undefined) throw checked.fault.error
        const results = await decide(records, checked.results as Checked[], options)
        count(metrics, origin, results)
        return results
      } finally {
        waitingRecords -= records.length
        release()
      }
    },

    async stop() {
      isStopped = true
      while (waitingRecords > 0) {
        await withRecoveryByte.idle()
        await exact.idle()
        await commits.idle()
        // Between two stages. This waits for the event loop, not only for promises: hashing invalid records yields to it.
        await yieldToEventLoop()
      }
    },
  }
}

function payloadBytes({ input }: { readonly input: SignedRecord }): number {
  return input.payload.length
}

/** The results of one stage. */
interface Passed<R> {
  /** In order; none for a record whose batch failed. */
  readonly results: readonly (R | undefined)[]
  /** Why some have no result. */
  readonly fault: { readonly error: unknown } | undefined
}

/** Sends records through a stage; resolves when each has a result or has failed. */
function pass<T, R>(queue: WorkQueue<Work<T, R>>, inputs: readonly T[], source: string): Promise<Passed<R>> {
  return new Promise((resolve) => {
    const results: (R | undefined)[] = []
    let fault: Passed<R>['fault']
    let open = inputs.length
    const settle: Work<T, R>['settle'] = (at, result, failure) => {
      results[at] = result
      fault ??= failure
      open -= 1
      if (open === 0) resolve({ results, fault })
    }
    if (open === 0) resolve({ results, fault })
    const work = inputs.map((input, at) => ({ input, at, settle }))
    queue.push(work, source)
  })
}

/** Runs one batch of a stage and settles each of its records. */
async function stage<T, R>(work: readonly Work<T, R>[], run: (inputs: T[]) => Promise<R[]>): Promise<void> {
  try {
    const results = await run(work.map(({ input }) => input))
    work.forEach(({ at, settle }, index) => settle(at, results[index] as R))
  } catch (error) {
    for (const { at, settle } of work) settle(at, undefined, { error })
  }
}

function count(metrics: Pick<Metrics, 'records'>, origin: Origin, results: readonly IngestResult[]): void {
  const [first] = results
  if (results.length === 1 && first !== undefined) return metrics.records(origin, first.status, 1)
  const totals = new Map<string, number>()
  for (const { status } of results) totals.set(status, (totals.get(status) ?? 0) + 1)
  for (const [status, total] of totals) metrics.records(origin, status, total)
}
