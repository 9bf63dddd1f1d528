/**
 * Checking archives without a store: every payload and signature, the order, the header and the trailer, and what the records
 * of each avatar amount to. Memory is bounded for any archive.
 */
import { RecordError } from '../record/errors.ts'
import type { Avatar, SignedRecord, VerifiedRecord } from '../record/types.ts'
import { createBatches, type ReadRecord } from './batches.ts'
import { FaultLog, type FaultReport } from './errors.ts'
import { HEADER_LINE, type ArchiveHeader } from './format.ts'
import { ArchiveFold, type FoldResult } from './fold.ts'
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

interface Group {
  readonly avatar: Avatar
  readonly fold: ArchiveFold
  records: number
  bytes: number
  isInOrder: boolean
}

/**
 * Checks an archive.
 *
 * @throws what `chunks` or the verifier throws
 */
export async function checkArchive(platform: ArchivePlatform, options: CheckOptions): Promise<CheckReport> {
  const faults = new FaultLog()
  const order = new OrderChecker()
  const batches = createBatches(BATCH, verify, takeAll)
  /** Avatars with open ends, and the others. */
  const open: AvatarCheck[] = []
  const plain: AvatarCheck[] = []
  const counts = { valid: 0, invalid: 0, duplicate: 0 }
  const totals = { avatars: 0, pending: 0, missing: 0, superseded: 0, forked: 0, unjudged: 0 }
  let { network } = options
  let verifier: Verifier | undefined
  let group: Group | undefined
  let done = 0
  let header: ArchiveHeader | undefined
  let end: ArchiveEnd | undefined

  async function verify(records: readonly SignedRecord[]): Promise<readonly (VerifiedRecord | RecordError)[]> {
    verifier ??= options.verifierFor(network ?? networkIn(records[0]))
    return await verifier.verify(records, { recoveryByte: true })
  }

  function takeAll(items: readonly ReadRecord[], results: readonly (VerifiedRecord | RecordError)[]): void {
    for (const [at, { line }] of items.entries()) take(results[at] as VerifiedRecord | RecordError, line)
    done += results.length
    options.onProgress?.(done)
  }

  function take(result: VerifiedRecord | RecordError, line: number): void {
    if (result instanceof RecordError) {
      counts.invalid += 1
      const { code, message } = result
      faults.add({ code: 'bad_record', line, message, record_code: code, fatal: false })
      return
    }
    const { id, body } = result
    const placed = order.check({ avatar: body.avatar, counter: body.counter, id }, line, faults)
    if (placed === 'duplicate') {
      counts.duplicate += 1
      return
    }
    counts.valid += 1
    if (placed === 'out_of_order') {
      if (group?.avatar === body.avatar) group.isInOrder = false
      return
    }
    if (group?.avatar !== body.avatar) {
      closeGroup()
      group = { avatar: body.avatar, fold: new ArchiveFold(platform), records: 0, bytes: 0, isInOrder: true }
    }
    group.records += 1
    group.bytes += result.payload.length + result.signature.length
    group.fold.add(id, body)
  }

  function closeGroup(): void {
    if (group === undefined) return
    const { avatar, fold, records, bytes, isInOrder } = group
    group = undefined
    const state = (isInOrder ? fold.result() : undefined) ?? null
    totals.avatars += 1
    if (state === null) totals.unjudged += 1
    else {
      totals.pending += state.pending
      totals.missing += state.missing.total
      totals.superseded += records - state.live
      if (state.tips_total > 1) totals.forked += 1
    }
    const isOpen = state === null || state.pending + state.missing.total > 0 || state.tips_total > 1
    const shown = isOpen ? open : plain
    if (shown.length < MAX_SHOWN) shown.push({ avatar, records, bytes, state })
  }

  for await (const event of readArchive(platform, options.chunks, options)) {
    if (event.kind === 'record') await batches.add(event)
    else if (event.kind === 'fault') faults.add(event.fault)
    else if (event.kind === 'header') {
      header = event.header
      network ??= header.network
      order.expect(header.avatars, 'its header names')
    } else end = event
  }
  await batches.finish()
  closeGroup()
  order.addAbsent(HEADER_LINE, faults)
  const sound = faults.total === 0
  return {
    network: network ?? null,
    created_at: header?.created_at ?? null,
    compressed: end?.compressed ?? false,
    records: end?.records ?? 0,
    ...counts,
    bytes: end?.bytes ?? 0,
    trailer: end?.trailer ?? 'missing',
    sound,
    complete: sound && totals.pending + totals.missing + totals.unjudged === 0,
    ...totals,
    shown: [...open, ...plain].slice(0, MAX_SHOWN).sort((a, b) => (a.avatar < b.avatar ? -1 : 1)),
    faults: faults.report(),
  }
}

/** The network that a record names, for archives without a header: that of the other records too, if the record is sound. */
function networkIn(record: SignedRecord | undefined): string {
  const text = new TextDecoder().decode(record?.payload)
  // Canonical members come in order, so that the first match is the payload's own member.
  return /"network":"([a-z0-9-]{1,32})",(?:"patch":|"parts":|"state":)/.exec(text)?.[1] ?? 'main'
}
