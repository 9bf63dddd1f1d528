/**
 * Importing archives.
 *
 * Guarantees: every record goes through the door that it is given, which verifies it; what is wrong with the archive is
 * told and does not keep sound records out; it can be repeated, what is there already being a duplicate; memory is bounded.
 */
import type { IngestResult } from '../ingest/types.ts'
import type { Avatar, SignedRecord } from '../record/types.ts'
import { payloadHead } from '../record/payload-head.ts'
import { FaultBook } from './errors.ts'
import type { FaultReport } from './errors.ts'
import type { ArchiveHeader } from './format.ts'
import { OrderWatch } from './order-watch.ts'
import { readArchive } from './reader.ts'
import type { ArchiveEnd, ReadOptions } from './reader.ts'

/** Hands records to a door; one result each, in order. It waits where the door is busy. */
export type Submit = (records: readonly SignedRecord[]) => Promise<readonly IngestResult[]>

/** What became of the records that were read, one number a status. */
export interface ImportCounts {
  readonly stored: number
  readonly pending: number
  readonly duplicate: number
  readonly superseded: number
  readonly refused: number
  readonly invalid: number
  /** Of avatars that were not asked for. */
  readonly skipped: number
}

/** What `import --json` and `POST /v2/archives` answer. */
export interface ImportReport extends ImportCounts {
  /** Of the archive's header; null where it has none. */
  readonly network: string | null
  readonly created_at: number | null
  /** Lines with a record. */
  readonly records: number
  /** Decompressed. */
  readonly bytes: number
  readonly trailer: ArchiveEnd['trailer']
  /** Whether nothing at all is wrong with the archive. */
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
  /** Only records of these avatars are submitted, and that there are none of one is told as a fault. Default: all. */
  readonly only?: ReadonlySet<Avatar>
  /** Called after each batch with the lines of records read and done so far. */
  readonly onProgress?: (progress: ImportCounts & { readonly records: number }) => void
}

/** Records and payload bytes of a batch: what the door verifies and stores at once. */
const BATCH_RECORDS = 256
const BATCH_BYTES = 512 * 1024
/** Batches at the door at once: while one is stored, the next is verified. */
const BATCHES_AT_ONCE = 3
/** Records refused for now that are offered once more at the end: a snapshot behind them may have made room. */
const KEPT_RECORDS = 4_096
const KEPT_BYTES = 16 * 1024 * 1024

interface Item {
  readonly record: SignedRecord
  readonly line: number
}

/**
 * Reads an archive and hands its records to a door.
 *
 * @throws whatever `chunks` or `submit` throws; what was handed over before stays
 */
export async function importArchive(options: ImportOptions): Promise<ImportReport> {
  const { chunks, only } = options
  const importing = new Importing(options)
  let header: ArchiveHeader | undefined
  let end: ArchiveEnd | undefined
  try {
    for await (const event of readArchive(chunks, options)) {
      if (event.kind === 'record') {
        const avatar = only && payloadHead(event.record.payload)?.avatar
        // What is no payload goes to the door all the same, to be called by its fault.
        if (avatar !== undefined && only?.has(avatar) === false) importing.skip()
        else await importing.add(event)
      } else if (event.kind === 'fault') importing.faults.add(event.fault)
      else if (event.kind === 'header') {
        header = event.header
        if (only === undefined) importing.order.name(header.avatars, 'its header names')
        else importing.order.name(only, 'was asked for')
      } else end = event
    }
    await importing.finish()
  } catch (error) {
    await importing.settle()
    throw error
  }
  for (const fault of importing.order.absent(HEADER_LINE)) importing.faults.add(fault)
  return importing.report(header, end)
}

/** What the header says is wrong there, if it is. */
const HEADER_LINE = 1

class Importing {
  readonly faults = new FaultBook()
  readonly order = new OrderWatch()
  readonly #options: ImportOptions
  readonly #counts = { stored: 0, pending: 0, duplicate: 0, superseded: 0, refused: 0, invalid: 0, skipped: 0 }
  readonly #refusals = new Map<string, { count: number; retry: boolean; message: string }>()
  readonly #running: Promise<void>[] = []
  #batch: Item[] = []
  #batchBytes = 0
  #records = 0
  #kept: { item: Item; result: IngestResult }[] = []
  #keptBytes = 0

  constructor(options: ImportOptions) {
    this.#options = options
  }

  skip(): void {
    this.#counts.skipped += 1
    this.#records += 1
  }

  async add(item: Item): Promise<void> {
    const { length } = item.record.payload
    if (this.#batch.length >= BATCH_RECORDS || (this.#batch.length > 0 && this.#batchBytes + length > BATCH_BYTES)) {
      await this.#send()
    }
    this.#batch.push(item)
    this.#batchBytes += length
  }

  /** Hands over what is left, and what was refused for now once more. */
  async finish(): Promise<void> {
    if (this.#batch.length > 0) await this.#send()
    while (this.#running.length > 0) await this.#running.shift()
    await this.#offerAgain()
    for (const { result } of this.#kept) this.#refuse(result)
    this.#kept = []
    this.#progress()
  }

  /** Waits for what is under way, well or badly. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#running)
  }

  async #send(): Promise<void> {
    const items = this.#batch
    this.#batch = []
    this.#batchBytes = 0
    if (this.#running.length >= BATCHES_AT_ONCE) await this.#running.shift()
    const before = this.#running.at(-1)
    const results = this.#options.submit(items.map(({ record }) => record))
    const done = (async () => {
      const answers = await results
      // In the order of the lines, whichever is answered first.
      await before
      for (const [at, item] of items.entries()) this.#take(item, answers[at] as IngestResult)
      this.#records += items.length
      this.#progress()
    })()
    // Whoever waits for it hears of a failure; until then it must not be called unhandled.
    done.catch(() => undefined)
    this.#running.push(done)
  }

  #take(item: Item, result: IngestResult): void {
    const { status, id } = result
    if (status === 'invalid') {
      this.#counts.invalid += 1
      const { code = 'invalid', message = 'The record is not valid.' } = result
      this.faults.add({ code: 'bad_record', line: item.line, message, record_code: code, fatal: false })
      return
    }
    const head = payloadHead(item.record.payload)
    if (head !== undefined && id !== null) {
      const place = { ...head, id }
      for (const fault of this.order.told(place, this.order.see(place), item.line)) this.faults.add(fault)
    }
    if (status !== 'refused') this.#counts[status] += 1
    else if (result.retry === true && this.#hasRoomFor(item)) {
      this.#kept.push({ item, result })
      this.#keptBytes += item.record.payload.length
    } else this.#refuse(result)
  }

  #hasRoomFor({ record }: Item): boolean {
    return this.#kept.length < KEPT_RECORDS && this.#keptBytes + record.payload.length <= KEPT_BYTES
  }

  #refuse({ code = 'refused', message = '', retry = false }: IngestResult): void {
    this.#counts.refused += 1
    const known = this.#refusals.get(code)
    if (known === undefined) this.#refusals.set(code, { count: 1, retry, message })
    else known.count += 1
  }

  /** Offers what was refused for now, in order of counters, as long as that makes a difference. */
  async #offerAgain(): Promise<void> {
    const counterOf = ({ item }: { item: Item }): number => payloadHead(item.record.payload)?.counter ?? 0
    for (let before = Number.POSITIVE_INFINITY; this.#kept.length > 0 && this.#kept.length < before;) {
      before = this.#kept.length
      const again = this.#kept.sort((a, b) => counterOf(a) - counterOf(b))
      this.#kept = []
      for (let at = 0; at < again.length; at += BATCH_RECORDS) {
        const part = again.slice(at, at + BATCH_RECORDS)
        const results = await this.#options.submit(part.map(({ item }) => item.record))
        for (const [index, { item }] of part.entries()) {
          const result = results[index] as IngestResult
          if (result.status === 'refused') this.#kept.push({ item, result })
          else if (result.status !== 'invalid') this.#counts[result.status] += 1
        }
      }
    }
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
