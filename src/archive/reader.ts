/**
 * Reading archives, whoever made them.
 *
 * Guarantees: memory is bounded whatever comes (a line, a step of decompression); every line that is not a sound record
 * is told, with its number; damage to one line, to the header or to the trailer does not take other lines along; what is
 * not worth reading ends early. Not guaranteed: that a record is genuine; that is for whoever takes it to verify.
 */
import { createHash } from 'node:crypto'

import type { SignedRecord } from '../record/types.ts'
import { ArchiveError } from './errors.ts'
import type { ArchiveErrorCode, ArchiveFault } from './errors.ts'
import type { ArchiveHeader } from './format.ts'
import { MAX_LINE_BYTES } from './format.ts'
import { gunzip, isGzip } from './gzip.ts'
import { isTrailer, parseLine } from './line-parser.ts'
import type { Parsed } from './line-parser.ts'
import { LineCutter } from './lines.ts'
import type { Line } from './lines.ts'

export type ArchiveEvent =
  | { readonly kind: 'header'; readonly header: ArchiveHeader }
  | { readonly kind: 'record'; readonly record: SignedRecord; readonly line: number }
  | { readonly kind: 'fault'; readonly fault: ArchiveFault }
  | ArchiveEnd

/** Always the last event. */
export interface ArchiveEnd {
  readonly kind: 'end'
  /** Lines with a record. */
  readonly records: number
  /** Bytes read, decompressed. */
  readonly bytes: number
  readonly compressed: boolean
  /** Whether the trailer fits what is before it. */
  readonly trailer: 'good' | 'wrong' | 'missing'
  /** SHA-256 over all before the trailer, as found here: 64 hex digits; null without a trailer. */
  readonly digest: string | null
}

export interface ReadOptions {
  /** The network whose records are wanted: an archive of another one is not read. Default: any. */
  readonly network?: string
  /**
   * Bytes, decompressed, that may be read without a record in them before the rest is not worth it; a line counts as 256
   * at least. Default 256 MiB: a line of 100 MB in the midst of sound ones is passed over.
   */
  readonly maxNoiseBytes?: number
}

const DEFAULT_NOISE_BYTES = 256 * 1024 * 1024
/** What a line without a record costs at least, as bytes: it has to be looked at and told. */
const MIN_NOISE_BYTES = 256
/** What has neither header nor record in so many lines or bytes is no archive. */
const MAX_STRANGE_LINES = 64
const MAX_STRANGE_BYTES = 2 * MAX_LINE_BYTES

const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf]
const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d

/**
 * Reads an archive, compressed or not (its first bytes tell).
 *
 * @param chunks bytes of whatever sizes; they must not change afterwards
 * @throws whatever `chunks` throws, and nothing else
 */
export async function* readArchive(
  chunks: AsyncIterable<Uint8Array>,
  options: ReadOptions = {},
): AsyncGenerator<ArchiveEvent, void, undefined> {
  const reading = new Reading(options)
  const { isCompressed, whole } = await peek(chunks)
  try {
    for await (const chunk of isCompressed ? gunzip(whole) : whole) {
      for (const line of reading.cut(chunk)) {
        yield* reading.take(line)
        if (reading.stopped) break
      }
      if (reading.stopped) break
    }
  } catch (error) {
    if (!(error instanceof ArchiveError)) throw error
    yield* reading.rest()
    yield reading.fatal(error.code, error.message)
  }
  yield* reading.rest()
  yield* reading.ending()
  yield reading.end(isCompressed)
}

/** Whether the chunks are compressed, and the chunks as they were. */
async function peek(
  chunks: AsyncIterable<Uint8Array>,
): Promise<{ isCompressed: boolean; whole: AsyncIterable<Uint8Array> }> {
  const iterator = chunks[Symbol.asyncIterator]()
  let start: Uint8Array = new Uint8Array(0)
  let isOver = false
  while (start.length < 2 && !isOver) {
    const next = await iterator.next()
    if (next.done === true) isOver = true
    else start = start.length === 0 ? next.value : Buffer.concat([start, next.value])
  }
  async function* whole(): AsyncGenerator<Uint8Array> {
    try {
      if (start.length > 0) yield start
      while (!isOver) {
        const next = await iterator.next()
        if (next.done === true) isOver = true
        else yield next.value
      }
    } finally {
      if (!isOver) await iterator.return?.()
    }
  }
  return { isCompressed: isGzip(start), whole: whole() }
}

/** Where in an archive reading stands. */
class Reading {
  readonly #options: ReadOptions
  readonly #cutter = new LineCutter()
  readonly #hash = createHash('sha256')
  #bytes = 0
  #noise = 0
  #records = 0
  #header: 'none' | 'missing' | 'read' = 'none'
  #trailer: 'good' | 'wrong' | 'missing' = 'missing'
  #digest: string | null = null
  #hasTrailer = false
  #hasToldAfter = false
  #stopped = false

  constructor(options: ReadOptions) {
    this.#options = options
  }

  get stopped(): boolean {
    return this.#stopped
  }

  *cut(chunk: Uint8Array): Iterable<Line> {
    this.#bytes += chunk.length
    yield* this.#cutter.push(chunk)
  }

  /** What is left when the bytes are over. */
  *rest(): Iterable<ArchiveEvent> {
    if (this.#stopped) return
    for (const line of this.#cutter.end()) yield* this.take(line)
  }

  *take(line: Line): Iterable<ArchiveEvent> {
    const { number, kind } = line
    if (kind === 'long' || kind === 'rest') {
      this.#hash.update(line.bytes)
      if (kind === 'long') {
        yield* this.#opening(number, 'strange')
        if (this.#stopped) return
        yield fault('line_too_long', number, `The line has more than ${MAX_LINE_BYTES} bytes and was passed over.`)
      }
      yield* this.#wasted(line)
      return
    }
    const { bytes, told } = trimmed(line)
    yield* told
    const parsed = parseLine(bytes)
    if (isTrailer(parsed)) yield* this.#closing(line, parsed)
    else {
      if (this.#hasTrailer && !this.#hasToldAfter) {
        this.#hasToldAfter = true
        yield fault('after_trailer', number, 'There is more after the trailer, which must be the last line.')
      }
      yield* this.#opening(number, parsed.kind === 'header' || parsed.kind === 'record' ? parsed.kind : 'strange')
      if (!this.#stopped) yield* this.#content(line, parsed)
    }
    this.#hash.update(line.bytes)
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
        // A record of whatever kind: the trailer counts it.
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
      const message = `The archive is of the network ${header.network}; here it is ${network}. Records of one are invalid in the other.`
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

  /** Notes what the first line of an archive is. */
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
    this.#digest = this.#hash.copy().digest('hex')
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

  /** Counts what had no record in it. */
  *#wasted({ bytes, number, kind }: Line): Iterable<ArchiveEvent> {
    this.#noise += kind === 'rest' ? bytes.length : Math.max(bytes.length, MIN_NOISE_BYTES)
    const most = this.#options.maxNoiseBytes ?? DEFAULT_NOISE_BYTES
    if (this.#header === 'none' && this.#noise > MAX_STRANGE_BYTES) {
      yield this.fatal('not_an_archive', NOT_AN_ARCHIVE, number)
    } else if (this.#noise > most) {
      yield this.fatal('too_much_noise', `More than ${most} bytes hold no record; the rest was not read.`, number)
    }
  }

  fatal(code: ArchiveErrorCode, message: string, line = this.#cutter.number): ArchiveEvent {
    this.#stopped = true
    return { kind: 'fault', fault: { code, line, message, fatal: true } }
  }

  /** What is wrong with the end as such. */
  *ending(): Iterable<ArchiveEvent> {
    if (this.#stopped || this.#hasTrailer) return
    if (this.#header === 'none') {
      yield this.fatal('not_an_archive', NOT_AN_ARCHIVE)
      return
    }
    const message = 'The archive ends without a trailer: it was cut short, and records at its end may be missing.'
    yield fault('trailer_missing', this.#cutter.number, message)
  }

  end(compressed: boolean): ArchiveEnd {
    const [records, bytes, trailer, digest] = [this.#records, this.#bytes, this.#trailer, this.#digest]
    return { kind: 'end', records, bytes, compressed, trailer, digest }
  }
}

const NOT_AN_ARCHIVE =
  'This is not an archive of avatar-kv: its first line must be a header, {"created_at":…,"format":"avatar-kv-archive/2","network":…}.'

function fault(code: ArchiveErrorCode, line: number, message: string, record_code?: string): ArchiveEvent {
  const why = record_code === undefined ? {} : { record_code }
  return { kind: 'fault', fault: { code, line, message, ...why, fatal: false } }
}

/** A line without what may stand around it, and what is to be said of that. */
function trimmed({ bytes, number, kind }: Line): { bytes: Uint8Array; told: ArchiveEvent[] } {
  const told: ArchiveEvent[] = []
  let start = 0
  let end = bytes.length
  if (number === 1 && BYTE_ORDER_MARK.every((byte, at) => bytes[at] === byte)) {
    start = BYTE_ORDER_MARK.length
    told.push(
      fault('byte_order_mark', number, 'The file begins with a byte order mark: some program has rewritten it.'),
    )
  }
  if (kind === 'open') {
    told.push(fault('unterminated_line', number, 'The last line does not end with a line feed: it may be cut short.'))
  } else if (bytes[end - 1] === LINE_FEED) end -= 1
  if (bytes[end - 1] === CARRIAGE_RETURN) {
    end -= 1
    told.push(fault('carriage_return', number, 'The line ends with CR LF: some program has rewritten the file.'))
  }
  return { bytes: bytes.subarray(start, Math.max(start, end)), told }
}
