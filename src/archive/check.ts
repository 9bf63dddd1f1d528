/**
 * Checking archives without a store: every payload and signature, the order, the header and the trailer, and what the records
 * of each avatar amount to. Memory is bounded for any archive.
 */
import { RecordError } from '../record/errors.ts'
import type { Avatar, SignedRecord, VerifiedRecord } from '../record/types.ts'
import { Batches } from './batches.ts'
import type { ReadRecord } from './batches.ts'
import { FaultLog } from './errors.ts'
import type { FaultReport } from './errors.ts'
import { HEADER_LINE } from './format.ts'
import type { ArchiveHeader } from './format.ts'
import { ArchiveFold } from './fold.ts'
import type { FoldResult } from './fold.ts'
import { OrderChecker } from './order-checker.ts'
import { readArchive } from './reader.ts'
import type { ArchiveEnd, ArchivePlatform, ReadOptions } from './types.ts'

/** What an archive holds of one avatar. */
export interface AvatarCheck {
  readonly avatar: Avatar
  /** Valid records. */
  readonly records: number
  /** Bytes of their payloads and signatures. */
  readonly bytes: number
  /** What they amount to; null if they are out of order or take too much memory. */
  readonly state: FoldResult | null
}

/** What `verify --json` prints. */
export interface CheckReport {
  readonly network: string | null
  readonly created_at: number | null
  readonly compressed: boolean
  /** Lines with a record; of them valid, invalid, and valid ones that are there twice. */
  readonly records: number
  readonly valid: number
  readonly invalid: number
  readonly duplicate: number
  /** Decompressed. */
  readonly bytes: number
  readonly trailer: ArchiveEnd['trailer']
  /** Whether nothing is wrong with the archive. */
  readonly sound: boolean
  /** Whether it is sound and nothing is missing that its records name. */
  readonly complete: boolean
  readonly avatars: number
  /** Of all avatars that could be judged. */
  readonly pending: number
  readonly missing: number
  readonly superseded: number
  /** Avatars with more than one tip. */
  readonly forked: number
  /** Avatars whose records were not judged. */
  readonly unjudged: number
  /** The first 1,000. If there are more, those with open ends come first. */
  readonly shown: readonly AvatarCheck[]
  readonly faults: FaultReport
}

/** Verifies records; one result each, in order. */
export interface Verifier {
  verify(
    records: readonly SignedRecord[],
    options: { readonly recoveryByte: boolean },
  ): Promise<readonly (VerifiedRecord | RecordError)[]>
}

export interface CheckOptions extends ReadOptions {
  readonly chunks: AsyncIterable<Uint8Array>
  /** A verifier for records of the archive's network. Called once at most. */
  readonly verifierFor: (network: string) => Verifier
  readonly onProgress?: (records: number) => void
}

/** What is verified in one call. */
const BATCH = { records: 512, bytes: 512 * 1024 }
const MAX_SHOWN = 1_000

/**
 * Checks an archive.
 *
 * @throws what `chunks` or the verifier throws
 */
export async function checkArchive(platform: ArchivePlatform, options: CheckOptions): Promise<CheckReport> {
  const checking = new Checking(platform, options)
  let header: ArchiveHeader | undefined
  let end: ArchiveEnd | undefined
  for await (const event of readArchive(platform, options.chunks, options)) {
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

interface Group {
  readonly avatar: Avatar
  readonly fold: ArchiveFold
  records: number
  bytes: number
  isInOrder: boolean
}

class Checking {
  readonly faults = new FaultLog()
  readonly #platform: ArchivePlatform
  readonly #options: CheckOptions
  readonly #order = new OrderChecker()
  readonly #batches: Batches<VerifiedRecord | RecordError>
  readonly #open: AvatarCheck[] = []
  readonly #plain: AvatarCheck[] = []
  readonly #totals = { avatars: 0, pending: 0, missing: 0, superseded: 0, forked: 0, unjudged: 0 }
  #network: string | undefined
  #verifier: Verifier | undefined
  #group: Group | undefined
  #valid = 0
  #invalid = 0
  #duplicate = 0
  #done = 0

  constructor(platform: ArchivePlatform, options: CheckOptions) {
    this.#platform = platform
    this.#options = options
    this.#network = options.network
    this.#batches = new Batches(
      BATCH,
      (records) => this.#verify(records),
      (items, results) => this.#takeAll(items, results),
    )
  }

  begin(header: ArchiveHeader): void {
    this.#network ??= header.network
    this.#order.expect(header.avatars, 'its header names')
  }

  add(item: ReadRecord): Promise<void> {
    return this.#batches.add(item)
  }

  async finish(): Promise<void> {
    await this.#batches.finish()
    this.#closeGroup()
    for (const fault of this.#order.absent(HEADER_LINE)) this.faults.add(fault)
  }

  async #verify(records: readonly SignedRecord[]): Promise<readonly (VerifiedRecord | RecordError)[]> {
    this.#verifier ??= this.#options.verifierFor(this.#network ?? networkIn(records[0]))
    return await this.#verifier.verify(records, { recoveryByte: true })
  }

  #takeAll(items: readonly ReadRecord[], results: readonly (VerifiedRecord | RecordError)[]): void {
    for (const [at, { line }] of items.entries()) this.#take(results[at] as VerifiedRecord | RecordError, line)
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
    const position = { avatar: body.avatar, counter: body.counter, id }
    const order = this.#order.check(position)
    for (const fault of this.#order.faultsOf(position, order, line)) this.faults.add(fault)
    if (order === 'duplicate') {
      this.#duplicate += 1
      return
    }
    this.#valid += 1
    if (order === 'out_of_order') {
      if (this.#group?.avatar === body.avatar) this.#group.isInOrder = false
      return
    }
    if (this.#group?.avatar !== body.avatar) {
      this.#closeGroup()
      const fold = new ArchiveFold(this.#platform)
      this.#group = { avatar: body.avatar, fold, records: 0, bytes: 0, isInOrder: true }
    }
    this.#group.records += 1
    this.#group.bytes += result.payload.length + result.signature.length
    this.#group.fold.add(id, body)
  }

  #closeGroup(): void {
    if (this.#group === undefined) return
    const { avatar, fold, records, bytes, isInOrder } = this.#group
    this.#group = undefined
    const state = (isInOrder ? fold.result() : undefined) ?? null
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

/** The network that a record names, for archives without a header: that of the other records too, if the record is sound. */
function networkIn(record: SignedRecord | undefined): string {
  const text = new TextDecoder().decode(record?.payload)
  // Canonical members come in order, so that the first match is the payload's own member.
  return /"network":"([a-z0-9-]{1,32})",(?:"patch":|"parts":|"state":)/.exec(text)?.[1] ?? 'main'
}
