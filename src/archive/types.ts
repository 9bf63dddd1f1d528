/** What reading an archive gives, and what archives need of the platform that they are read and written on. */
import type { SignedRecord } from '../record/types.ts'
import type { ArchiveFault } from './errors.ts'
import type { ArchiveHeader } from './format.ts'

/** A SHA-256 over bytes that come in pieces. Nothing may be called after `digest`. */
export interface Hasher {
  update(bytes: Uint8Array): unknown
  digest(): Uint8Array
}

/** `node.ts` and `web.ts` provide it. */
export interface ArchivePlatform {
  hasher(): Hasher
  /** SHA-256 of a few bytes. */
  sha256(bytes: Uint8Array): Uint8Array
  /** So many bytes that nobody can predict. */
  randomBytes(count: number): Uint8Array
  /**
   * Decompresses gzip (RFC 1952) in bounded memory, no faster than the result is read. A reader that stops early ends the
   * reading of `chunks` too.
   *
   * @throws ArchiveError `bad_gzip` after all that could be read; what `chunks` throws
   */
  gunzip(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined>
}

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
  /** Whether the trailer fits the lines before it. */
  readonly trailer: 'good' | 'wrong' | 'missing'
  /** SHA-256 over everything before the trailer, as computed here: 64 hex digits; null without a trailer. */
  readonly digest: string | null
}

export interface ReadOptions {
  /** An archive of another network than this is not read. Default: any network. */
  readonly network?: string
  /**
   * Decompressed bytes without a record in them after which reading ends; a line counts as 256 at least. Default 256 MiB: a
   * line of 100 MB among sound ones is skipped.
   */
  readonly maxNoiseBytes?: number
}
