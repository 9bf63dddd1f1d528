/**
 * Importing archives.
 *
 * Guarantees: ingest verifies every record. Faults of the archive are reported and cost no sound record. An import can be
 * repeated: records that are stored already are duplicates. Memory is bounded.
 */
import { createBatches, type ReadRecord } from '../archive/batches.ts'
import { FaultLog, type FaultReport } from '../archive/errors.ts'
import { HEADER_LINE, type ArchiveHeader } from '../archive/format.ts'
import { nodePlatform } from '../archive/node.ts'
import { OrderChecker } from '../archive/order-checker.ts'
import { readArchive } from '../archive/reader.ts'
import type { ArchiveEnd, ReadOptions } from '../archive/types.ts'
import { payloadHead } from '../record/payload-head.ts'
import type { Avatar } from '../record/types.ts'
import { RetryBuffer, type Submit } from './retry.ts'
import type { IngestResult } from './types.ts'

/** How many of the records got each result; `skipped`: of avatars that were not asked for. */
export type ImportCounts = Readonly<Record<IngestResult['status'] | 'skipped', number>>

/** What `import --json` and `POST /v2/archives` answer. */
export interface ImportReport extends ImportCounts {
  /** From the archive's header; null if it has none. */
  readonly network: string | null
  readonly created_at: number | null
  /** Lines with a record. */
  readonly records: number
  /** Decompressed. */
  readonly bytes: number
  readonly trailer: ArchiveEnd['trailer']
  /** Whether nothing is wrong with the archive. */
  readonly sound: boolean
  /** Why records were refused, by code. */
  readonly refusals: Readonly<
    Record<string, { readonly count: number; readonly retry: boolean; readonly message: string }>
  >
  readonly faults: FaultReport
}

export interface ImportOptions extends ReadOptions {
  readonly chunks: AsyncIterable<Uint8Array>
  readonly submit: Submit
  /** Submits only records of these avatars, and reports an avatar without records as a fault. Default: all. */
  readonly only?: ReadonlySet<Avatar>
  /** Called after each batch with what became of the records so far. */
  readonly onProgress?: (progress: ImportCounts & { readonly records: number }) => void
}

/** What is verified and stored at once. */
const BATCH = { records: 256, bytes: 512 * 1024 }
/** Records refused for now that are offered again at the end: a snapshot after them may have made room. */
const RETRY_LIMITS = { maxRecords: 4_096, maxBytes: 16 * 1024 * 1024 }

interface Refused extends ReadRecord {
  readonly result: IngestResult
}

/**
 * Reads an archive and submits its records.
 *
 * @throws what `chunks` or `submit` throws; records that were taken before stay
 */
export async function importArchive(options: ImportOptions): Promise<ImportReport> {
  const { chunks, only, submit, onProgress } = options
  const faults = new FaultLog()
  const order = new OrderChecker()
  const counts = { stored: 0, pending: 0, duplicate: 0, superseded: 0, refused: 0, invalid: 0, skipped: 0 }
  let records = 0
  const refusals = new Map<string, { count: number; retry: boolean; message: string }>()
  const refusedForNow = new RetryBuffer<Refused>(RETRY_LIMITS, ({ result }) => refuse(result))
  const batches = createBatches(BATCH, submit, (items, results) => {
    for (const [at, item] of items.entries()) take(item, results[at] as IngestResult)
    records += items.length
    tellProgress()
  })

  function take(item: ReadRecord, result: IngestResult): void {
    const { id, code = 'invalid', message = 'The record is not valid.' } = result
    if (result.status === 'invalid') {
      counts.invalid += 1
      faults.add({ code: 'bad_record', line: item.line, message, record_code: code, fatal: false })
      return
    }
    const head = payloadHead(item.record.payload)
    if (head !== undefined && id !== null) order.check({ ...head, id }, item.line, faults)
    note(item, result)
  }

  function note({ record, line }: ReadRecord, result: IngestResult): void {
    if (result.status !== 'refused') counts[result.status] += 1
    else if (result.retry === true) refusedForNow.add({ record, line, result })
    else refuse(result)
  }

  function refuse({ code = 'refused', message = '', retry = false }: IngestResult): void {
    counts.refused += 1
    const known = refusals.get(code)
    if (known === undefined) refusals.set(code, { count: 1, retry, message })
    else known.count += 1
  }

  function tellProgress(): void {
    onProgress?.({ ...counts, records })
  }

  let header: ArchiveHeader | undefined
  let end: ArchiveEnd | undefined
  try {
    for await (const event of readArchive(nodePlatform, chunks, options)) {
      if (event.kind === 'record') {
        const avatar = only && payloadHead(event.record.payload)?.avatar
        // A payload without a head is submitted too: its result says what is wrong with it.
        if (avatar === undefined || only?.has(avatar) !== false) await batches.add(event)
        else {
          counts.skipped += 1
          records += 1
        }
      } else if (event.kind === 'fault') faults.add(event.fault)
      else if (event.kind === 'header') {
        header = event.header
        if (only === undefined) order.expect(header.avatars, 'its header names')
        else order.expect(only, 'was asked for')
      } else end = event
    }
    await batches.finish()
    await refusedForNow.offerAgain(async (items) => {
      const results = await submit(items.map(({ record }) => record))
      for (const [at, item] of items.entries()) {
        const result = results[at] as IngestResult
        if (result.status !== 'invalid') note(item, result)
      }
    })
    for (const { result } of refusedForNow.take()) refuse(result)
    tellProgress()
  } catch (error) {
    await batches.settle()
    throw error
  }
  order.addAbsent(HEADER_LINE, faults)
  return {
    network: header?.network ?? null,
    created_at: header?.created_at ?? null,
    records: end?.records ?? 0,
    bytes: end?.bytes ?? 0,
    trailer: end?.trailer ?? 'missing',
    ...counts,
    sound: faults.total === 0,
    refusals: Object.fromEntries(refusals),
    faults: faults.report(),
  }
}
