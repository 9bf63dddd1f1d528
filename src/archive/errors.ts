import { CodedError } from '../platform/errors.ts'

/** Everything that can be wrong with an archive. A fault of one line costs no other line. */
export type ArchiveErrorCode =
  | 'not_an_archive'
  | 'wrong_format'
  | 'wrong_network'
  | 'bad_gzip'
  | 'header_missing'
  | 'bad_header'
  | 'second_header'
  | 'byte_order_mark'
  | 'carriage_return'
  | 'blank_line'
  | 'line_too_long'
  | 'not_utf8'
  | 'bad_line'
  | 'unterminated_line'
  | 'bad_record'
  | 'out_of_order'
  | 'duplicate'
  | 'unnamed_avatar'
  | 'absent_avatar'
  | 'trailer_missing'
  | 'wrong_trailer'
  | 'after_trailer'
  | 'too_much_noise'

/** One thing that is wrong with an archive. */
export interface ArchiveFault {
  readonly code: ArchiveErrorCode
  /** From 1; the line after the last where the end itself is wrong. */
  readonly line: number
  /** For people: what is wrong and what to do. */
  readonly message: string
  /** For `bad_record`: why, as the protocol page names it. */
  readonly record_code?: string
  /** Whether nothing after it was read. */
  readonly fatal: boolean
}

/** An archive that cannot be made or read at all. */
export class ArchiveError extends CodedError<ArchiveErrorCode> {
  override readonly name = 'ArchiveError'
}

/** Faults that are reported one by one; the others are counted. */
const MAX_SHOWN_FAULTS = 20

/** The faults of an archive, as JSON in reports. */
export interface FaultReport {
  readonly total: number
  /** How many of each code. */
  readonly codes: Readonly<Partial<Record<ArchiveErrorCode, number>>>
  /** The first 20 that were found, by line. */
  readonly first: readonly ArchiveFault[]
  /** The one at which reading stopped; null if it reached the end. */
  readonly stopped: ArchiveFault | null
}

/** Collects faults in bounded memory. */
export class FaultLog {
  readonly #codes: Partial<Record<ArchiveErrorCode, number>> = {}
  readonly #first: ArchiveFault[] = []
  total = 0
  stopped: ArchiveFault | null = null

  add(fault: ArchiveFault): void {
    this.total += 1
    this.#codes[fault.code] = (this.#codes[fault.code] ?? 0) + 1
    if (this.#first.length < MAX_SHOWN_FAULTS) this.#first.push(fault)
    if (fault.fatal) this.stopped = fault
  }

  report(): FaultReport {
    return {
      total: this.total,
      codes: { ...this.#codes },
      first: this.#first.toSorted((a, b) => a.line - b.line),
      stopped: this.stopped,
    }
  }
}
