/** What the lines of an archive say one after the other: header, records, trailer, and what is wrong with each. */
import { bytesToHex } from '@noble/hashes/utils.js'
import type { ArchiveErrorCode } from './errors.ts'
import { MAX_LINE_BYTES, type ArchiveHeader } from './format.ts'
import { isTrailer, parseLine, type Parsed } from './line-parser.ts'
import type { Line } from './lines.ts'
import type { ArchiveEnd, ArchiveEvent, Hasher, ReadOptions } from './types.ts'

const DEFAULT_NOISE_BYTES = 256 * 1024 * 1024
/** What a line without a record counts as at least: it costs parsing and a report. */
const MIN_NOISE_BYTES = 256
/** Input with neither header nor record in so many lines or bytes is not an archive. */
const MAX_STRANGE_LINES = 64
const MAX_STRANGE_BYTES = 2 * MAX_LINE_BYTES

const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf]
const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d

/** Judges the lines of one archive in order. */
export class LineJudge {
  readonly #hasher: Hasher
  readonly #options: ReadOptions
  #noise = 0
  #records = 0
  #header: 'none' | 'missing' | 'read' = 'none'
  #trailer: 'good' | 'wrong' | 'missing' = 'missing'
  #digest: string | null = null
  #hasTrailer = false
  #hasReportedAfter = false
  /** Whether a fault was fatal: nothing more is to be read. */
  stopped = false

  constructor(hasher: Hasher, options: ReadOptions) {
    this.#hasher = hasher
    this.#options = options
  }

  get totals(): Pick<ArchiveEnd, 'records' | 'trailer' | 'digest'> {
    return { records: this.#records, trailer: this.#trailer, digest: this.#digest }
  }

  *take(line: Line): Iterable<ArchiveEvent> {
    const { number, kind } = line
    if (kind === 'long' || kind === 'rest') {
      this.#hash(line)
      if (kind === 'long') {
        yield* this.#opening(number, 'strange')
        if (this.stopped) return
        yield fault('line_too_long', number, `The line has more than ${MAX_LINE_BYTES} bytes and was skipped.`)
      }
      yield* this.#wasted(line)
      return
    }
    const { bytes, told } = trimmed(line)
    yield* told
    const parsed = parseLine(bytes)
    if (isTrailer(parsed)) yield* this.#closing(line, parsed)
    else {
      if (this.#hasTrailer && !this.#hasReportedAfter) {
        this.#hasReportedAfter = true
        yield fault('after_trailer', number, 'There is more after the trailer, which must be the last line.')
      }
      yield* this.#opening(number, parsed.kind === 'header' || parsed.kind === 'record' ? parsed.kind : 'strange')
      if (!this.stopped) yield* this.#content(line, parsed)
    }
    this.#hash(line)
  }

  /** The trailer's digest covers the lines before it. */
  #hash({ bytes }: Line): void {
    if (!this.#hasTrailer) this.#hasher.update(bytes)
  }

  *#content(line: Line, parsed: Parsed): Iterable<ArchiveEvent> {
    const { number } = line
    switch (parsed.kind) {
      case 'record':
        this.#records += 1
        yield { kind: 'record', record: parsed.record, line: number }
        return
      case 'header':
        yield* this.#head(parsed.header, number)
        return
      case 'blank':
        yield fault('blank_line', number, 'The line is empty.')
        break
      case 'fault': {
        const { code, message, record_code } = parsed
        if (code === 'bad_header') this.#header = 'read'
        // The trailer counts records that are not sound, too.
        if (code === 'bad_record') this.#records += 1
        if (code === 'wrong_format') yield this.fatal(code, message, number)
        else yield fault(code, number, message, record_code)
        break
      }
    }
    yield* this.#wasted(line)
  }

  *#head(header: ArchiveHeader, number: number): Iterable<ArchiveEvent> {
    const { network } = this.#options
    if (network !== undefined && header.network !== network) {
      const message = `The archive is of the network ${header.network}, this is ${network}. Records of one network are invalid in another.`
      yield this.#header === 'read'
        ? fault('wrong_network', number, message)
        : this.fatal('wrong_network', message, number)
      return
    }
    if (this.#header === 'read') {
      yield fault('second_header', number, 'There is another header: these are several archives in one file.')
      return
    }
    this.#header = 'read'
    yield { kind: 'header', header }
  }

  /** Notes the kind of the first line. */
  *#opening(number: number, kind: 'header' | 'record' | 'strange'): Iterable<ArchiveEvent> {
    if (this.#header !== 'none' || kind === 'header') return
    if (kind === 'strange') {
      if (number <= MAX_STRANGE_LINES) return
      yield this.fatal('not_an_archive', NOT_AN_ARCHIVE, number)
      return
    }
    this.#header = 'missing'
    yield fault('header_missing', number, 'A record comes before any header: the beginning is missing.')
  }

  *#closing(line: Line, parsed: Parsed): Iterable<ArchiveEvent> {
    const { number } = line
    if (this.#hasTrailer) {
      yield fault('after_trailer', number, 'There is another trailer: these are several archives in one file.')
      return
    }
    yield* this.#opening(number, 'record')
    this.#hasTrailer = true
    this.#digest = bytesToHex(this.#hasher.digest())
    this.#trailer = 'wrong'
    if (parsed.kind === 'fault') yield fault('wrong_trailer', number, parsed.message)
    else if (parsed.kind === 'trailer') {
      const { digest, records } = parsed.trailer
      if (records !== this.#records) {
        const message = `The trailer says ${records} records, but ${this.#records} are there: the archive was changed after it was made.`
        yield fault('wrong_trailer', number, message)
      } else if (digest !== this.#digest) {
        const message = 'The digest in the trailer is not that of the lines before it: they were changed or damaged.'
        yield fault('wrong_trailer', number, message)
      } else this.#trailer = 'good'
    }
  }

  /** Counts a line without a record. */
  *#wasted({ bytes, number, kind }: Line): Iterable<ArchiveEvent> {
    this.#noise += kind === 'rest' ? bytes.length : Math.max(bytes.length, MIN_NOISE_BYTES)
    const most = this.#options.maxNoiseBytes ?? DEFAULT_NOISE_BYTES
    if (this.#header === 'none' && this.#noise > MAX_STRANGE_BYTES) {
      yield this.fatal('not_an_archive', NOT_AN_ARCHIVE, number)
    } else if (this.#noise > most) {
      yield this.fatal('too_much_noise', `More than ${most} bytes hold no record, so the rest was not read.`, number)
    }
  }

  fatal(code: ArchiveErrorCode, message: string, line: number): ArchiveEvent {
    this.stopped = true
    return { kind: 'fault', fault: { code, line, message, fatal: true } }
  }

  /** What is wrong with the end. @param line number of the line after the last */
  *end(line: number): Iterable<ArchiveEvent> {
    if (this.stopped || this.#hasTrailer) return
    if (this.#header === 'none') {
      yield this.fatal('not_an_archive', NOT_AN_ARCHIVE, line)
      return
    }
    const message = 'The archive ends without a trailer: it was cut short, and records at its end may be missing.'
    yield fault('trailer_missing', line, message)
  }
}

const NOT_AN_ARCHIVE =
  'This is not an archive of avatar-kv: its first line must be a header, {"created_at":…,"format":"avatar-kv-archive/2","network":…}.'

function fault(code: ArchiveErrorCode, line: number, message: string, record_code?: string): ArchiveEvent {
  const why = record_code === undefined ? {} : { record_code }
  return { kind: 'fault', fault: { code, line, message, ...why, fatal: false } }
}

/** A line without byte order mark and line end, and the faults of these. */
function trimmed({ bytes, number, kind }: Line): { bytes: Uint8Array; told: ArchiveEvent[] } {
  const told: ArchiveEvent[] = []
  let start = 0
  let end = bytes.length
  if (number === 1 && BYTE_ORDER_MARK.every((byte, at) => bytes[at] === byte)) {
    start = BYTE_ORDER_MARK.length
    told.push(fault('byte_order_mark', number, 'The file begins with a byte order mark: a program has rewritten it.'))
  }
  if (kind === 'open') {
    told.push(fault('unterminated_line', number, 'The last line does not end with a line feed: it may be cut short.'))
  } else if (bytes[end - 1] === LINE_FEED) end -= 1
  if (bytes[end - 1] === CARRIAGE_RETURN) {
    end -= 1
    told.push(fault('carriage_return', number, 'The line ends with CR LF: a program has rewritten the file.'))
  }
  return { bytes: bytes.subarray(start, Math.max(start, end)), told }
}
