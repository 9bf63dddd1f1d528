/** The archive format (docs/protocol.md, "Archive"): newline-delimited JSON of a header, records and a trailer. */
import { bytesToHex } from '@noble/hashes/utils.js'
import type { Avatar, SignedRecord } from '../record/types.ts'

export const ARCHIVE_FORMAT = 'avatar-kv-archive/2'
/** Of files; compressed ones have `.gz` after it. */
const ARCHIVE_EXTENSION = '.avatar-kv.ndjson'
export const ARCHIVE_TYPE = 'application/x-ndjson'

/**
 * Greatest length of a line, its line feed included. The greatest payload, every byte of it escaped, takes half of it; a
 * header names some 15,000 avatars.
 */
export const MAX_LINE_BYTES = 1_048_576

/** Avatars that a header may name: more of them do not fit into a line. */
export const MAX_NAMED_AVATARS = 15_000

/** The line of the header. */
export const HEADER_LINE = 1

/** What an archive says of itself in its first line. */
export interface ArchiveHeader {
  /** Unix seconds, by the clock of the machine that made the archive. */
  readonly created_at: number
  readonly network: string
  /** The avatars that were asked for; undefined for all of them. */
  readonly avatars?: readonly Avatar[]
}

/** What an archive says of itself in its last line. */
export interface ArchiveTrailer {
  /** SHA-256 over all bytes before the trailer: 64 hex digits. */
  readonly digest: string
  /** Lines with a record. */
  readonly records: number
}

/** Where an archive's records are read from, all as of one moment: a store's `exportSnapshot`. */
export interface ArchiveSource {
  /** In ascending order. */
  avatars(): AsyncIterable<Avatar>
  /** In order of (counter, id); with `history` the superseded ones that are stored too. */
  records(avatar: Avatar, options: { readonly history: boolean }): AsyncIterable<SignedRecord>
}

const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true })
const RECORD_START = '{"payload":'
const RECORD_MIDDLE = ',"signature":"0x'
const RECORD_END = '"}\n'

/** A record as a line of an archive, line feed included. */
export function recordLine({ payload, signature }: SignedRecord): string {
  return `${RECORD_START}${JSON.stringify(UTF8.decode(payload))}${RECORD_MIDDLE}${bytesToHex(signature)}${RECORD_END}`
}

/** Members in the order of RFC 8785. */
export function headerLine({ created_at, network, avatars }: ArchiveHeader): string {
  const named = avatars === undefined ? {} : { avatars }
  return `${JSON.stringify({ ...named, created_at, format: ARCHIVE_FORMAT, network })}\n`
}

export function trailerLine({ digest, records }: ArchiveTrailer): string {
  return `${JSON.stringify({ digest: `sha256:${digest}`, records })}\n`
}

/**
 * A name for an archive's file, of characters that are safe everywhere.
 *
 * @param createdAt Unix seconds
 */
export function archiveName(header: ArchiveHeader, gzip: boolean): string {
  const [avatar, ...others] = header.avatars ?? []
  const what =
    avatar === undefined ? 'all' : `${avatar.slice(2, 14)}${others.length > 0 ? `-and-${others.length}` : ''}`
  const date = new Date(header.created_at * 1000).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')
  return `${header.network}-${what}-${date}Z${ARCHIVE_EXTENSION}${gzip ? '.gz' : ''}`
}
