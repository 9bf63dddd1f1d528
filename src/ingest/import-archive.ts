/**
 * Importing archives.
 *
 * Guarantees: every record goes through the door, which verifies it. Faults of the archive are reported and cost no sound record.
 * An import can be repeated: records that are stored already are duplicates. Memory is bounded.
 */
import { createBatches, type Batches } from '../archive/batches.ts'
import type { ReadRecord } from '../archive/batches.ts'
import { FaultLog } from '../archive/errors.ts'
import type { FaultReport } from '../archive/errors.ts'
import { HEADER_LINE } from '../archive/format.ts'
import type { ArchiveHeader } from '../archive/format.ts'
import { nodePlatform } from '../archive/node.ts'
import { OrderChecker } from '../archive/order-checker.ts'
import { readArchive } from '../archive/reader.ts'
import type { ArchiveEnd, ReadOptions } from '../archive/types.ts'
import { payloadHead } from '../record/payload-head.ts'
import type { Avatar } from '../record/types.ts'
import { RetryBuffer } from './retry.ts'
import type { Submit } from './retry.ts'
import type { IngestResult } from './types.ts'

/** What became of the records that were read: how many of each status. */
export interface ImportCounts {
  readonly stored: number
  readonly pending: number
  readonly duplicate: number
  readonly superseded: number
  readonly refused: number
  readonly invalid: number
  /** Records of avatars that were not asked for. */
  readonly skipped: number
}

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

/** What the door verifies and stores at once. */
const BATCH = { records: 256, bytes: 512 * 1024 }
/** Records refused for now that are offered again at the end: a snapshot after them may have made room. */
const RETRY_LIMITS = { maxRecords: 4_096, maxBytes: 16 * 1024 * 1024 }

/**
 * Reads an archive and hands its records to the door.
 *
 * @throws what `chunks` or `submit` throws; records that were taken before stay
 */
export async function importArchive(options: ImportOptions): Promise<ImportReport> {
  const { chunks, only } = options
  const importing = new Importing(options)
  let header: ArchiveHeader | undefined
  let end: ArchiveEnd | undefined
  try {
    for await (const event of readArchive(nodePlatform, chunks, options)) {
      if (event.kind === 'record') {
        const avatar = only && payloadHead(event.record.payload)?.avatar
        // A payload without a head goes to the door too, which says what is wrong with it.
        if (avatar !== undefined && only?.has(avatar) === false) importing.skip()
        else await importing.batches.add(event)
      } else if (event.kind === 'fault') importing.faults.add(event.fault)
      else if (event.kind === 'header') {
        header = event.header
        if (only === undefined) importing.order.expect(header.avatars, 'its header names')
        else importing.order.expect(only, 'was asked for')
      } else end = event
    }
    await importing.finish()
  } catch (error) {
    await importing.batches.settle()
    throw error
  }
  importing.order.addAbsent(HEADER_LINE, importing.faults)
  return importing.report(header, end)
}

interface Refused extends ReadRecord {
  readonly result: IngestResult
}

class Importing {
  readonly faults = new FaultLog()
  readonly order = new OrderChecker()
  readonly #options: ImportOptions
  readonly #counts = { stored: 0, pending: 0, duplicate: 0, superseded: 0, refused: 0, invalid: 0, skipped: 0 }
  readonly #refusals = new Map<string, { count: number; retry: boolean; message: string }>()
  readonly batches: Batches
  readonly #refusedForNow = new RetryBuffer<Refused>(RETRY_LIMITS, ({ result }) => this.#refuse(result))
  #records = 0

  constructor(options: ImportOptions) {
    this.#options = options
    this.batches = createBatches(BATCH, options.submit, (items, results) => this.#takeAll(items, results))
  }

  skip(): void {
    this.#counts.skipped += 1
    this.#records += 1
  }

  /** Hands over what is left, and again what was refused for now. */
  async finish(): Promise<void> {
    await this.batches.finish()
    await this.#refusedForNow.offerAgain((items) => this.#offerAgain(items))
    for (const { result } of this.#refusedForNow.take()) this.#refuse(result)
    this.#progress()
  }

  #takeAll(items: readonly ReadRecord[], results: readonly IngestResult[]): void {
    for (const [at, item] of items.entries()) this.#take(item, results[at] as IngestResult)
    this.#records += items.length
    this.#progress()
  }

  #take(item: ReadRecord, result: IngestResult): void {
    const { status, id } = result
    if (status === 'invalid') {
      this.#counts.invalid += 1
      const { code = 'invalid', message = 'The record is not valid.' } = result
      this.faults.add({ code: 'bad_record', line: item.line, message, record_code: code, fatal: false })
      return
    }
    const head = payloadHead(item.record.payload)
    if (head !== undefined && id !== null) {
      const position = { ...head, id }
      this.order.check(position, item.line, this.faults)
    }
    this.#note(item, result, status)
  }

  async #offerAgain(items: readonly Refused[]): Promise<void> {
    const results = await this.#options.submit(items.map(({ record }) => record))
    for (const [at, item] of items.entries()) {
      const result = results[at] as IngestResult
      if (result.status !== 'invalid') this.#note(item, result, result.status)
    }
  }

  #note({ record, line }: ReadRecord, result: IngestResult, status: Exclude<IngestResult['status'], 'invalid'>): void {
    if (status !== 'refused') this.#counts[status] += 1
    else if (result.retry === true) this.#refusedForNow.add({ record, line, result })
    else this.#refuse(result)
  }

  #refuse({ code = 'refused', message = '', retry = false }: IngestResult): void {
    this.#counts.refused += 1
    const known = this.#refusals.get(code)
    if (known === undefined) this.#refusals.set(code, { count: 1, retry, message })
    else known.count += 1
  }

  #progress(): void {
    this.#options.onProgress?.({ ...this.#counts, records: this.#records })
  }

  report(header: ArchiveHeader | undefined, end: ArchiveEnd | undefined): ImportReport {
    return {
      network: header?.network ?? null,
      created_at: header?.created_at ?? null,
      records: end?.records ?? 0,
      bytes: end?.bytes ?? 0,
      trailer: end?.trailer ?? 'missing',
      ...this.#counts,
      sound: this.faults.total === 0,
      refusals: Object.fromEntries(this.#refusals),
      faults: this.faults.report(),
    }
  }
}
