/**
 * Checking archives without a store: every payload and signature, the order, the header and the trailer, and what the
 * records of each avatar say of each other. Memory is bounded whatever the archive holds.
 */
import { RecordError } from '../record/errors.ts'
import type { Avatar, SignedRecord, VerifiedRecord } from '../record/types.ts'
import type { VerifyService } from '../verify/types.ts'
import { FaultBook } from './errors.ts'
import type { FaultReport } from './errors.ts'
import type { ArchiveHeader } from './format.ts'
import { OrderWatch } from './order-watch.ts'
import { readArchive } from './reader.ts'
import type { ArchiveEnd, ReadOptions } from './reader.ts'
import { Walk } from './walk.ts'
import type { WalkResult } from './walk.ts'

/** What an archive holds of one avatar. */
export interface AvatarCheck {
  readonly avatar: Avatar
  /** Valid records. */
  readonly records: number
  /** Bytes of their payloads and signatures. */
  readonly bytes: number
  /** What they amount to; null where they are out of order or too many to be judged. */
  readonly state: WalkResult | null
}

/** What `verify --json` prints. */
export interface CheckReport {
  readonly network: string | null
  readonly created_at: number | null
  readonly compressed: boolean
  /** Lines with a record; of them valid, invalid, and valid ones that stand there twice. */
  readonly records: number
  readonly valid: number
  readonly invalid: number
  readonly duplicate: number
  /** Decompressed. */
  readonly bytes: number
  readonly trailer: ArchiveEnd['trailer']
  /** Whether nothing is wrong with the archive. */
  readonly sound: boolean
  /** Whether, beyond that, nothing is missing that its records name. */
  readonly complete: boolean
  readonly avatars: number
  /** Over all avatars that could be judged. */
  readonly pending: number
  readonly missing: number
  readonly superseded: number
  /** Avatars with more than one tip. */
  readonly forked: number
  /** Avatars whose records were not judged. */
  readonly unjudged: number
  /** The first 1,000; those with open ends come before others where there are more. */
  readonly shown: readonly AvatarCheck[]
  readonly faults: FaultReport
}

export interface CheckOptions extends ReadOptions {
  readonly chunks: AsyncIterable<Uint8Array>
  /** Verifies records of the network that the archive turns out to be of. Called once at most. */
  readonly verifierFor: (network: string) => Pick<VerifyService, 'verify'>
  readonly onProgress?: (records: number) => void
}

const BATCH_RECORDS = 512
const BATCH_BYTES = 512 * 1024
/** Batches that are verified at once, so that no thread waits for the reader. */
const BATCHES_AT_ONCE = 3
const MAX_SHOWN = 1_000

/**
 * Checks an archive.
 *
 * @throws whatever `chunks` or the verifier throws
 */
export async function checkArchive(options: CheckOptions): Promise<CheckReport> {
  const checking = new Checking(options)
  let header: ArchiveHeader | undefined
  let end: ArchiveEnd | undefined
  for await (const event of readArchive(options.chunks, options)) {
    if (event.kind === 'record') await checking.add(event)
    else if (event.kind === 'fault') checking.faults.add(event.fault)
    else if (event.kind === 'header') {
      header = event.header
      checking.begin(header)
    } else end = event
  }
  await checking.finish()
  return checking.report(header, end)
}

interface Item {
  readonly record: SignedRecord
  readonly line: number
}

interface Group {
  readonly avatar: Avatar
  readonly walk: Walk
  records: number
  bytes: number
  isInOrder: boolean
}

class Checking {
  readonly faults = new FaultBook()
  readonly #options: CheckOptions
  readonly #order = new OrderWatch()
  readonly #running: { items: Item[]; results: Promise<(VerifiedRecord | RecordError)[]> }[] = []
  readonly #open: AvatarCheck[] = []
  readonly #plain: AvatarCheck[] = []
  readonly #totals = { avatars: 0, pending: 0, missing: 0, superseded: 0, forked: 0, unjudged: 0 }
  #network: string | undefined
  #verifier: Pick<VerifyService, 'verify'> | undefined
  #batch: Item[] = []
  #batchBytes = 0
  #group: Group | undefined
  #valid = 0
  #invalid = 0
  #duplicate = 0
  #done = 0

  constructor(options: CheckOptions) {
    this.#options = options
    this.#network = options.network
  }

  begin(header: ArchiveHeader): void {
    this.#network ??= header.network
    this.#order.name(header.avatars, 'its header names')
  }

  async add(item: Item): Promise<void> {
    const { length } = item.record.payload
    if (this.#batch.length >= BATCH_RECORDS || (this.#batch.length > 0 && this.#batchBytes + length > BATCH_BYTES)) {
      await this.#send()
    }
    this.#batch.push(item)
    this.#batchBytes += length
  }

  async finish(): Promise<void> {
    if (this.#batch.length > 0) await this.#send()
    while (this.#running.length > 0) await this.#takeFirst()
    this.#closeGroup()
    for (const fault of this.#order.absent(1)) this.faults.add(fault)
  }

  async #send(): Promise<void> {
    const items = this.#batch
    this.#batch = []
    this.#batchBytes = 0
    if (this.#running.length >= BATCHES_AT_ONCE) await this.#takeFirst()
    this.#verifier ??= this.#options.verifierFor(this.#network ?? networkIn(items[0]?.record))
    const results = this.#verifier.verify(
      items.map(({ record }) => record),
      { recoveryByte: true },
    )
    // Whoever waits for it hears of a failure; until then it must not be called unhandled.
    results.catch(() => undefined)
    this.#running.push({ items, results })
  }

  async #takeFirst(): Promise<void> {
    const first = this.#running.shift()
    if (first === undefined) return
    const results = await first.results
    for (const [at, { line }] of first.items.entries()) this.#take(results[at] as VerifiedRecord | RecordError, line)
    this.#done += results.length
    this.#options.onProgress?.(this.#done)
  }

  #take(result: VerifiedRecord | RecordError, line: number): void {
    if (result instanceof RecordError) {
      this.#invalid += 1
      const { code, message } = result
      this.faults.add({ code: 'bad_record', line, message, record_code: code, fatal: false })
      return
    }
    const { id, body } = result
    const place = { avatar: body.avatar, counter: body.counter, id }
    const standing = this.#order.see(place)
    for (const fault of this.#order.told(place, standing, line)) this.faults.add(fault)
    if (standing === 'duplicate') {
      this.#duplicate += 1
      return
    }
    this.#valid += 1
    if (standing === 'out_of_order') {
      if (this.#group?.avatar === body.avatar) this.#group.isInOrder = false
      return
    }
    if (this.#group?.avatar !== body.avatar) {
      this.#closeGroup()
      this.#group = { avatar: body.avatar, walk: new Walk(), records: 0, bytes: 0, isInOrder: true }
    }
    this.#group.records += 1
    this.#group.bytes += result.payload.length + result.signature.length
    this.#group.walk.add(id, body)
  }

  #closeGroup(): void {
    if (this.#group === undefined) return
    const { avatar, walk, records, bytes, isInOrder } = this.#group
    this.#group = undefined
    const state = (isInOrder ? walk.result() : undefined) ?? null
    const totals = this.#totals
    totals.avatars += 1
    if (state === null) totals.unjudged += 1
    else {
      totals.pending += state.pending
      totals.missing += state.missing.total
      totals.superseded += records - state.live
      if (state.tips_total > 1) totals.forked += 1
    }
    const isOpen = state === null || state.pending + state.missing.total > 0 || state.tips_total > 1
    const shown = isOpen ? this.#open : this.#plain
    if (shown.length < MAX_SHOWN) shown.push({ avatar, records, bytes, state })
  }

  report(header: ArchiveHeader | undefined, end: ArchiveEnd | undefined): CheckReport {
    const shown = [...this.#open, ...this.#plain].slice(0, MAX_SHOWN)
    const sound = this.faults.total === 0
    return {
      network: this.#network ?? null,
      created_at: header?.created_at ?? null,
      compressed: end?.compressed ?? false,
      records: end?.records ?? 0,
      valid: this.#valid,
      invalid: this.#invalid,
      duplicate: this.#duplicate,
      bytes: end?.bytes ?? 0,
      trailer: end?.trailer ?? 'missing',
      sound,
      complete: sound && this.#totals.pending + this.#totals.missing + this.#totals.unjudged === 0,
      ...this.#totals,
      shown: shown.sort((a, b) => (a.avatar < b.avatar ? -1 : 1)),
      faults: this.faults.report(),
    }
  }
}

/** The network that a record claims to be of, where no header says it: then that of the others, if it is a sound one. */
function networkIn(record: SignedRecord | undefined): string {
  const text = Buffer.from(record?.payload ?? []).toString('latin1')
  // Canonical members come in order, so that the first such text is that of the payload itself.
  return /"network":"([a-z0-9-]{1,32})",(?:"patch":|"parts":|"state":)/.exec(text)?.[1] ?? 'main'
}
